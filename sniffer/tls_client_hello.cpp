// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/tls_client_hello.h"

#include <algorithm>
#include <expected>

#include "sniffer/tls_record.h"

namespace soleroute::sniffer {
namespace {

using base::ByteReader;
using base::Bytes;

constexpr std::size_t kHandshakeHeader = 4;  // RFC 8446 section 4: type, u24 length
constexpr std::byte kClientHello{1};
constexpr std::size_t kRandom = 32;
constexpr std::size_t kMaxSessionId = 32;

constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kAlpnExtension = 16;
constexpr std::uint16_t kSupportedVersionsExtension = 43;
constexpr std::uint16_t kEncryptedClientHelloExtension = 0xfe0d;
constexpr std::uint8_t kHostNameType = 0;  // RFC 6066 section 3
constexpr std::uint16_t kTls13 = 0x0304;

using Stop = std::variant<NeedMore, Malformed>;
using Checked = std::expected<void, Malformed>;

std::unexpected<Malformed> bad(std::string_view reason, int tls_alert = 0) {
  return std::unexpected(Malformed{.reason = reason, .tls_alert = tls_alert});
}

constexpr Malformed kTooLong{"the ClientHello is too large", true};

// The handshake message as far as records have brought it. Copies only when it is split.
class Message {
 public:
  void append(Bytes fragment) {
    if (whole_.empty() && joined_.empty()) {
      whole_ = fragment;
      return;
    }
    if (joined_.empty()) joined_.assign(whole_.begin(), whole_.end());
    joined_.insert(joined_.end(), fragment.begin(), fragment.end());
  }
  [[nodiscard]] Bytes bytes() const { return joined_.empty() ? whole_ : Bytes(joined_); }

  // Header included; nothing until the header is there.
  [[nodiscard]] std::optional<std::size_t> announced() const {
    ByteReader reader(bytes());
    if (!reader.skip(1)) return std::nullopt;
    const auto length = reader.u24();
    if (!length) return std::nullopt;
    return kHandshakeHeader + *length;
  }
  // Bytes still to come at least.
  [[nodiscard]] std::size_t missing() const {
    const std::size_t total = announced().value_or(kHandshakeHeader);
    return total - std::min(total, bytes().size());
  }

 private:
  Bytes whole_;
  std::vector<std::byte> joined_;
};

struct Record {
  std::size_t length = 0;
  Bytes available;  // of its body
};

std::expected<Record, Stop> read_record(Bytes at) {
  const auto length = parse_handshake_record(at);
  if (length.malformed()) return std::unexpected(length.fault());
  if (!length.complete()) return std::unexpected(length.missing());
  const Bytes body = at.subspan(kTlsRecordHeader);
  return Record{length.value(), body.first(std::min(length.value(), body.size()))};
}

// What the bytes so far already rule out. `complete_length`: of the message once the current record is whole.
Checked check_message(const Message& message, std::size_t complete_length) {
  if (!message.bytes().empty() && message.bytes()[0] != kClientHello) {
    return bad("the first handshake message is not a ClientHello", kUnexpectedMessageAlert);
  }
  const auto announced = message.announced();
  if (!announced) return {};
  if (*announced > kMaxClientHelloBytes) return std::unexpected(kTooLong);
  // A server that goes on to TLS 1.3 must refuse it (RFC 8446 section 5.1), and no other has a use for it.
  if (*announced < complete_length) {
    return bad("data follows the ClientHello in its record", kUnexpectedMessageAlert);
  }
  return {};
}

NeedMore need(std::size_t position, std::size_t message_missing) {
  return {position + (message_missing > 0 ? kTlsRecordHeader + message_missing : 0)};
}

// Joins the records of the hello. Returns the raw bytes they take.
std::expected<std::size_t, Stop> assemble(Bytes received, Message& message) {
  std::size_t position = 0;
  std::size_t empty_records = 0;
  for (;;) {
    const auto record = read_record(received.subspan(position));
    if (!record && std::holds_alternative<NeedMore>(record.error())) {
      const NeedMore more = need(position, message.missing());
      if (more.at_least > kMaxClientHelloBytes) return std::unexpected(kTooLong);
      return std::unexpected(more);
    }
    if (!record) return std::unexpected(record.error());
    const std::size_t before = message.bytes().size();
    message.append(record->available);
    SR_LET(checked, check_message(message, before + record->length));

    position += kTlsRecordHeader + record->length;
    const std::size_t to_come = record->length - record->available.size();
    const std::size_t later = message.missing() - std::min(message.missing(), to_come);
    const NeedMore more = need(position, later);
    if (more.at_least > kMaxClientHelloBytes) return std::unexpected(kTooLong);
    if (to_come > 0) return std::unexpected(more);
    if (record->length == 0 && ++empty_records > kMaxEmptyRecords) {
      return std::unexpected(Malformed{.reason = "too many empty records before the ClientHello is whole",
                                       .tls_alert = kUnexpectedMessageAlert});
    }
    if (message.missing() == 0) return position;
  }
}

// RFC 6066 section 3, as strict as OpenSSL: one name of type host_name and nothing else.
Checked read_server_name(Bytes extension, ClientHello& hello) {
  ByteReader reader(extension);
  const auto list_length = reader.u16();
  if (!list_length || *list_length != reader.remaining()) return bad("the server_name list has a wrong length");
  const auto type = reader.u8();
  const auto name_length = reader.u16();
  if (!type || !name_length) return bad("the server_name list is cut short");
  if (*type != kHostNameType) return bad("a server name of a type other than host_name");
  const auto name = reader.take(*name_length);
  if (!name) return bad("a server name longer than its list");
  if (!reader.empty()) return bad("more than one server name");
  auto host = base::HostName::parse(base::as_text(*name));
  if (!host) return bad("the server name is not a valid host name");
  hello.server_name = std::move(*host);
  return {};
}

// RFC 7301 section 3.1.
Checked read_alpn(Bytes extension, ClientHello& hello) {
  ByteReader reader(extension);
  const auto list_length = reader.u16();
  if (!list_length || *list_length != reader.remaining() || *list_length == 0) {
    return bad("the ALPN list has a wrong length");
  }
  while (!reader.empty()) {
    const auto length = reader.u8();
    if (!length || *length == 0) return bad("an empty ALPN protocol name");
    const auto name = reader.take(*length);
    if (!name) return bad("an ALPN protocol name longer than its list");
    hello.alpn.emplace_back(base::as_text(*name));
  }
  return {};
}

// RFC 8446 section 4.2.1.
Checked read_supported_versions(Bytes extension, ClientHello& hello) {
  ByteReader reader(extension);
  const auto length = reader.u8();
  if (!length || *length != reader.remaining() || *length == 0 || *length % 2 != 0) {
    return bad("supported_versions has a wrong length");
  }
  while (const auto version = reader.u16()) hello.offers_tls13 = hello.offers_tls13 || *version == kTls13;
  return {};
}

Checked read_extension(std::uint16_t type, Bytes body, ClientHello& hello) {
  switch (type) {
    case kServerNameExtension:
      return read_server_name(body, hello);
    case kAlpnExtension:
      return read_alpn(body, hello);
    case kSupportedVersionsExtension:
      return read_supported_versions(body, hello);
    case kEncryptedClientHelloExtension:
      hello.encrypted_client_hello = true;
      return {};
    default:
      return {};
  }
}

Checked read_extensions(Bytes block, ClientHello& hello) {
  ByteReader reader(block);
  const auto length = reader.u16();
  if (!length || *length != reader.remaining()) return bad("the extension block has a wrong length");
  std::vector<std::uint16_t> types;
  types.reserve(32);
  while (!reader.empty()) {
    const auto type = reader.u16();
    const auto size = reader.u16();
    if (!type || !size) return bad("an extension is cut short");
    const auto body = reader.take(*size);
    if (!body) return bad("an extension is longer than its block");
    SR_TRY(read_extension(*type, *body, hello));
    types.push_back(*type);
  }
  std::ranges::sort(types);
  if (std::ranges::adjacent_find(types) != types.end()) {
    return bad("an extension occurs twice", kIllegalParameterAlert);
  }
  return {};
}

// RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2.
Checked read_hello(Bytes message, ClientHello& hello) {
  ByteReader reader(message);
  constexpr std::size_t kLegacyVersion = 2;
  if (!reader.skip(kHandshakeHeader + kLegacyVersion + kRandom)) return bad("the ClientHello is cut short");
  const auto session_id = reader.u8();
  if (!session_id || *session_id > kMaxSessionId || !reader.skip(*session_id)) return bad("a wrong session id length");
  const auto ciphers = reader.u16();
  if (!ciphers || *ciphers == 0 || *ciphers % 2 != 0 || !reader.skip(*ciphers)) {
    return bad("a wrong cipher suite list length");
  }
  const auto compressions = reader.u8();
  if (!compressions || *compressions == 0 || !reader.skip(*compressions)) {
    return bad("a wrong compression method list length");
  }
  if (reader.empty()) return {};  // before TLS 1.3 extensions are optional
  return read_extensions(reader.rest(), hello);
}

}  // namespace

Parsed<ClientHello> parse_client_hello(Bytes received) {
  Message message;
  const auto size = assemble(received, message);
  if (!size) return std::visit([](const auto& stop) { return Parsed<ClientHello>(stop); }, size.error());
  ClientHello hello;
  if (const auto read = read_hello(message.bytes(), hello); !read) return read.error();
  hello.size = *size;
  return hello;
}

}  // namespace soleroute::sniffer
