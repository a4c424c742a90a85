// Node's side of http_node.sh: "client PORT" asks our server for everything, "server" answers our client.
'use strict';
const assert = require('assert');
const http = require('http');
const zlib = require('zlib');

// ---- a client ----

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// Asks for path; write, if there is one, is given the request, and ends it.
function ask(port, method, path, headers = {}, write = request => request.end()) {
    return new Promise((resolve, reject) => {
        const request = http.request({ port, host: '127.0.0.1', method, path, headers, agent }, response => {
            const pieces = [];
            response.on('data', piece => pieces.push(piece));
            response.on('end', () => resolve({ response, body: Buffer.concat(pieces), reused: request.reusedSocket }));
            response.on('error', reject);
        });
        request.on('error', reject);
        write(request);
    });
}

async function client(port) {
    for (let i = 0; i < 3; i++) {
        const { response, body, reused } = await ask(port, 'GET', '/hello');
        assert.strictEqual(`${response.statusCode} ${body}`, '200 hello, GET\n');
        assert.strictEqual(reused, i > 0, 'the connection is kept');
    }
    const head = await ask(port, 'HEAD', '/hello');
    assert.strictEqual(head.response.headers['content-length'], '12');
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const { body } = await ask(port, method, '/echo', { 'Content-Length': 5 }, request => request.end('hello'));
        assert.strictEqual(String(body), 'hello', method);
    }
    const large = Buffer.alloc(900000, 'abcdefg');
    const chunked = await ask(port, 'POST', '/echo', {}, request => {
        for (let at = 0; at < large.length; at += 70000)
            request.write(large.subarray(at, at + 70000));
        request.end();
    });
    assert(chunked.body.equals(large), 'a body in chunks');
    let told = 0;
    const expecting = await ask(port, 'POST', '/echo', { Expect: '100-continue', 'Content-Length': 2 }, request => {
        request.on('continue', () => { told++; request.end('ab'); });
        request.flushHeaders();
    });
    assert.strictEqual(`${told} ${expecting.body}`, '1 ab');
    assert.strictEqual(String((await ask(port, 'GET', '/pieces')).body).split('\n').length, 6);
    const range = await ask(port, 'GET', '/files/text.txt', { Range: 'bytes=2-6' });
    assert.strictEqual(`${range.response.statusCode} ${range.body}`, '206 me te');
    assert.strictEqual((await ask(port, 'GET', '/nowhere')).response.statusCode, 404);
    await leaveInTheMidst(port);
    const answer = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body: 'by fetch' });
    assert.strictEqual(await answer.text(), 'by fetch');
    agent.destroy();
}

// A client that goes after the first bytes of a large reply harms nobody.
function leaveInTheMidst(port) {
    return new Promise(resolve => {
        http.get({ port, host: '127.0.0.1', path: '/files/large', agent: false }, response => {
            response.once('data', () => { response.destroy(); resolve(); });
        });
    });
}

// ---- a server ----

const text = 'packed, '.repeat(1000);
const packed = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync };

function answer(request, response, body) {
    const path = request.url.slice(1);
    if (packed[path]) {
        response.setHeader('Content-Encoding', path);
        return response.end(packed[path](text));
    }
    switch (path) {
    case 'count': return response.end(`${request.method} ${body.length} ${body.every(byte => byte === 120)}`);
    case 'chunks':
        response.writeHead(200, { Trailer: 'X-Sum' });
        for (let i = 0; i < 1000; i++)
            response.write(`${i % 10}`.repeat(100));
        response.addTrailers({ 'X-Sum': '1' });
        return response.end();
    case 'hints':
        response.writeEarlyHints({ link: '</a.css>; rel=preload' });
        return response.end('after hints');
    case 'none': response.statusCode = 204; return response.end();
    case 'same': response.statusCode = 304; return response.end();
    case 'moved': response.writeHead(302, { Location: '/set', 'Set-Cookie': 'a=b; Path=/' }); return response.end();
    case 'set': return response.end(`cookie: ${request.headers.cookie}`);
    case 'kept': response.writeHead(307, { Location: '/count' }); return response.end();
    case 'last': response.setHeader('Connection', 'close'); return response.end('the last one');
    case 'cut': response.writeHead(200, { 'Content-Length': 100 }); response.write('cut'); return response.socket.end();
    case 'large': return response.end(Buffer.alloc(5000000, 'l'));
    default: response.statusCode = 404; return response.end('nothing');
    }
}

function server() {
    const listener = http.createServer((request, response) => {
        const pieces = [];
        request.on('data', piece => pieces.push(piece));
        request.on('end', () => answer(request, response, Buffer.concat(pieces)));
    });
    listener.listen(0, '127.0.0.1', () => console.log(`PORT ${listener.address().port}`));
}

if (process.argv[2] === 'server')
    server();
else
    client(Number(process.argv[3])).catch(error => { console.log(error); process.exit(1); });
