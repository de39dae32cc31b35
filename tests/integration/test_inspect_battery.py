"""HTTP/1 again, inside inspected TLS: the cases of test_router_http1, spoken over TLS to 443 instead of port 80.

The origin of the SNI is dialled before any request is known, so "nobody was dialled" means nobody else. Cases about a
second host on one connection are in test_inspect_http1: there the answer is 421.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import ssl

import pytest

from lab import addresses as at
from lab import inspection, web
from lab.case import Case
from lab.tls_link import TlsLink

# ruff: noqa: F401
from test_router_http1 import (
    test_a_bad_port_is_refused,
    test_a_huge_length_allocates_nothing_and_a_short_body_ends_the_connection,
    test_a_malformed_content_length_is_refused,
    test_a_path_that_looks_like_an_authority_is_a_path,
    test_a_repeated_or_padded_content_length_means_one_thing_or_nothing,
    test_an_authority_that_is_no_host_name_is_refused,
    test_any_other_transfer_encoding_is_refused,
    test_anything_but_one_host_is_refused,
    test_chunked_with_content_length_is_refused,
    test_content_length_with_chunked_is_refused,
    test_control_bytes_that_readers_disagree_about_are_refused,
    test_one_empty_line_before_a_request_is_allowed,
    test_transfer_encoding_in_http_1_0_is_refused,
    test_what_is_just_within_the_limits_passes,
    test_what_is_over_a_limit_is_refused,
    test_what_only_looks_like_transfer_encoding_frames_nothing,
)
from test_router_http1_exchange import (
    test_a_body_after_head_is_not_an_answer,
    test_a_fake_answer_of_a_hostile_origin_is_never_the_answer_to_a_later_request,
    test_after_an_early_answer_the_unsent_body_is_no_request,
    test_alternative_services_are_taken_out,
    test_an_event_stream_is_not_buffered,
    test_an_upgrade_to_anything_but_websocket_never_becomes_a_tunnel,
    test_another_expectation_is_refused,
    test_answers_without_a_body_keep_the_connection,
    test_bodies_arrive_whole,
    test_chunked_uploads_arrive_whole,
    test_connect_on_port_80_opens_no_tunnel,
    test_continue_works_both_ways,
    test_endless_heads_of_an_origin_end,
    test_half_close_after_a_request_still_gets_the_answer,
    test_hop_by_hop_fields_stay_and_others_pass,
    test_large_bodies_pass_both_ways_without_being_kept,
    test_methods_that_echo_headers_are_refused,
    test_options_of_everything_and_http_1_0_work,
    test_other_methods_reach_an_allowed_host_unchanged,
    test_other_versions_and_malformed_lines_are_refused,
    test_websocket_works_in_both_directions,
)
from test_http_forms import (
    test_a_body_of_an_origin_arrives_in_plain_form,
    test_a_malformed_chunk_line_ends_the_connection_unsent,
    test_an_answer_that_clients_accept_arrives_in_plain_form,
    test_no_chunk_extension_of_a_client_reaches_an_origin,
)
from test_websocket import (
    test_a_handshake_opens_a_tunnel,
    test_a_request_without_the_handshake_never_becomes_a_tunnel,
    test_an_answer_that_is_none_to_the_handshake_is_a_502,
)


@pytest.fixture(scope="module")
def router(lab, gateway_binary, tmp_path_factory):
    del gateway_binary
    yield from inspection.inspecting_router(lab, tmp_path_factory, inspection.INSPECTED)


@pytest.fixture(autouse=True)
def inside_tls(monkeypatch, lab, router):
    plain = web.connected
    context = ssl.create_default_context(cafile=router.ca_certificate)
    context.set_alpn_protocols(["http/1.1"])
    names = {at.CDN: "cdn-allowed.test", at.WILD: "x.wild.test"}

    @contextlib.contextmanager
    def connected(namespace, address, port, timeout=10.0, source=None):
        with plain(namespace, address, 443 if port == 80 else port, timeout, source) as link:
            yield TlsLink(link, context, names.get(address, "allowed.test")) if port == 80 else link

    def no_syn(case, mark=None):
        syns = case.lab.capture.syns(case.start if mark is None else mark)
        strays = [p for p in syns if (p.destination, p.dport) != (at.AL, 443)]
        assert not strays, f"dialled {strays[0]}"

    monkeypatch.setattr(web, "connected", connected)
    monkeypatch.setattr(Case, "no_syn", no_syn)
    del lab
