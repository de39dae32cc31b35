// SPDX-License-Identifier: GPL-3.0-or-later
// An HTTP/2 origin: node http2_origin.js ADDRESS KEY CERTIFICATE [no-websockets]. Prints one JSON line for each request, and "ready".
'use strict';
const fs = require('fs');
const http2 = require('http2');
const [, , address, key, cert, without] = process.argv;

const server = http2.createSecureServer({
  key: fs.readFileSync(key),
  cert: fs.readFileSync(cert),
  settings: {enableConnectProtocol: without !== 'no-websockets'},
  ALPNCallback: ({protocols}) => protocols.includes('h2') ? 'h2' : undefined,  // else no_application_protocol
});

const PAGE = `<!doctype html><title>page</title><body>
<script src="/ok/script.js"></script>
<script src="/denied/script.js" onerror="document.body.append('[script refused]')"></script>
<script>
const asked = new XMLHttpRequest();
asked.open('GET', '/denied/data', false);
asked.send();
const by = performance.getEntriesByType('navigation')[0].nextHopProtocol;
document.body.append('[over ' + by + '] [' + asked.status + ' ' + asked.responseText.split('\\n')[0] + ']');
</script>`;

const answers = {
  '/ok/page': (stream) => { stream.respond({':status': 200, 'content-type': 'text/html'}); stream.end(PAGE); },
  '/ok/blanks': (stream) => {
    stream.respond({':status': 200, 'x-blank': ' padded ', 'x-empty': ' '});
    stream.end('blanks');
  },
  '/ok/script.js': (stream) => {
    stream.respond({':status': 200, 'content-type': 'text/javascript'});
    stream.end("document.body.append('[script loaded]')");
  },
  '/ok/bytes': (stream) => {
    stream.respond({':status': 200, 'content-type': 'application/octet-stream'});
    let left = 64;
    const more = () => {
      while (left-- > 0) {
        if (!stream.write(Buffer.alloc(1 << 20, 'x'))) return stream.once('drain', more);
      }
      stream.end();
    };
    more();
  },
  '/ok/count': (stream) => {
    let count = 0;
    stream.on('data', (piece) => { count += piece.length; });
    stream.on('end', () => { stream.respond({':status': 200}); stream.end(String(count)); });
  },
  '/ok/echo': (stream) => {  // both ways at once, trailers at the end
    stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true});
    stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0', 'x-up': stream.up || ''}));
    stream.on('trailers', (trailers) => { stream.up = trailers['x-up']; });
    stream.pipe(stream);
  },
  '/ok/events': (stream) => {
    stream.respond({':status': 200, 'content-type': 'text/event-stream'});
    let count = 0;
    const timer = setInterval(() => {
      stream.write(`data: ${++count}\n\n`);
      if (count === 3) { clearInterval(timer); stream.end(); }
    }, 500);
  },
  '/ok/forever': (stream) => { stream.respond({':status': 200}); stream.write('begun'); },
  '/ok/reset': (stream) => { stream.respond({':status': 200}); stream.write('begun'); setTimeout(() => stream.destroy(new Error('reset')), 50); },
  '/ok/goaway': (stream, headers) => {
    stream.respond({':status': 200});
    stream.end('last of this connection\n');
    stream.session.goaway(0);
  },
  '/ok/hints': (stream) => { stream.additionalHeaders({':status': 103, 'link': '</a>'}); stream.respond({':status': 204}, {endStream: true}); },
};

server.on('stream', (stream, headers) => {
  const path = headers[':path'];
  stream.on('error', () => {});
  stream.on('close', () => console.log(JSON.stringify({closed: path, code: stream.rstCode})));
  console.log(JSON.stringify({asked: path, method: headers[':method'], authority: headers[':authority'],
    host: headers.host, protocol: headers[':protocol'], cookie: headers.cookie}));
  if (headers[':method'] === 'CONNECT') {
    const protocol = {'/ok/socket/other': 'other', '/ok/socket/chat': 'chat'}[path];
    stream.respond({':status': 200, ...(protocol ? {'sec-websocket-protocol': protocol} : {})});
    return stream.pipe(stream);
  }
  // Of a request that nobody reads, node resets the stream when all is written, also where END_STREAM waits for window.
  if (headers[':method'] === 'GET') stream.resume();
  const answer = answers[path.split('?')[0]];
  if (answer) return answer(stream, headers);
  stream.respond({':status': 200, 'content-type': 'text/plain'});
  stream.end('HTTP2\n');
});
server.on('sessionError', () => {});
let told = 0;
process.on('SIGUSR2', () => console.log(JSON.stringify({told: ++told})));  // all that was asked before is printed before
process.on('uncaughtException', () => {});  // an answer to a stream that is gone
server.listen(443, address, () => console.log('ready'));
