// SPDX-License-Identifier: GPL-3.0-or-later
// An HTTP/2 client of what curl cannot do: node http2_client.js CA WHAT [HOST]. Prints one JSON object.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const [, , ca, what, host] = process.argv;
const session = http2.connect(`https://${host}`, {ca: fs.readFileSync(ca)});
const say = (result) => { console.log(JSON.stringify(result)); session.close(); setTimeout(() => process.exit(0), 200).unref(); };
session.on('error', (error) => { console.log(JSON.stringify({error: String(error)})); process.exit(1); });
setTimeout(() => { console.log(JSON.stringify({error: 'timed out'})); process.exit(1); }, 20000).unref();

const tests = {
  // Words there and back, one at a time, so that neither side may hold any.
  echo() {
    const stream = session.request({':method': 'POST', ':path': '/ok/echo', 'te': 'trailers'}, {waitForTrailers: true});
    const words = ['one', 'two', 'three'];
    const heard = [];
    let trailers = {};
    stream.setEncoding('utf8');
    stream.on('wantTrailers', () => stream.sendTrailers({'x-up': 'sum'}));
    stream.on('data', (text) => { heard.push(text); words.length ? stream.write(words.shift()) : stream.end(); });
    stream.on('trailers', (fields) => { trailers = fields; });
    stream.on('close', () => say({heard, status: trailers['grpc-status'], up: trailers['x-up'], code: stream.rstCode}));
    stream.write(words.shift());
  },
  events() {
    const stream = session.request({':path': '/ok/events'});
    const begin = Date.now();
    const times = [];
    stream.on('data', () => times.push(Date.now() - begin));
    stream.on('close', () => say({times}));
  },
  // A denied stream and an allowed one beside it, and one that was open before.
  mixed() {
    const results = {};
    const open = session.request({':method': 'POST', ':path': '/ok/echo'});
    const ask = (path) => new Promise((done) => {
      const stream = session.request({':path': path});
      let text = '';
      stream.setEncoding('utf8');
      stream.on('response', (head) => { results[path] = head[':status']; });
      stream.on('data', (more) => { text += more; });
      stream.on('close', () => { results[path + ' text'] = text.split('\n')[0]; done(); });
    });
    Promise.all([ask('/denied'), ask('/ok/a'), ask('/denied/too')]).then(() => {
      open.on('data', (word) => { results.open = String(word); open.close(); });
      open.on('close', () => say(results));
      open.write('still open');
    });
  },
  cancel() {
    const stream = session.request({':path': '/ok/forever'});
    stream.on('data', () => stream.close(8));
    stream.on('error', () => {});
    stream.on('close', () => say({code: stream.rstCode}));
  },
  reset() {
    const stream = session.request({':path': '/ok/reset'});
    stream.on('error', () => {});
    stream.resume();
    stream.on('close', () => say({code: stream.rstCode}));
  },
  // RFC 8441
  websocket() {
    session.once('remoteSettings', function takes(settings) {
      if (!settings.enableConnectProtocol) return session.once('remoteSettings', takes);
      const stream = session.request({':method': 'CONNECT', ':protocol': 'websocket', ':path': '/ok/socket', 'sec-websocket-version': '13'});
      stream.on('response', (head) => { stream.status = head[':status']; stream.write('ping'); });
      stream.on('data', (text) => { say({status: stream.status, heard: String(text)}); });
    });
  },
  // One that grants another protocol than was offered, one of another version, and a right one beside them.
  websockets() {
    const ask = (path, more) => new Promise((done) => {
      const fields = {':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13', 'sec-websocket-protocol': 'chat'};
      const stream = session.request({...fields, ...more});
      stream.on('error', () => {});
      stream.on('response', (head) => { done([head[':status'], head['sec-websocket-protocol'] || '']); stream.close(); });
    });
    session.once('remoteSettings', async function takes(settings) {
      if (!settings.enableConnectProtocol) return session.once('remoteSettings', takes);
      say([await ask('/ok/socket/other', {}), await ask('/ok/socket', {'sec-websocket-version': '8'}), await ask('/ok/socket/chat', {}), await ask('/ok/socket', {})]);
    });
  },
};
tests[what]();
