// The peer of tests/shell/ws.sh that Node's ws makes: serve [context] says PORT n and echoes, ask URL [plain|context]
// asks a server that echoes, and says 'good'.
const WebSocket = require('ws');
const [what, url, how] = process.argv.slice(2);
const packed = context => context
    ? { threshold: 0 }
    : { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true };

if (what === 'serve') {
    const server = new (WebSocket.WebSocketServer || WebSocket.Server)({ port: 0, host: '127.0.0.1',
        perMessageDeflate: packed(url === 'context') });
    server.on('listening', () => console.log('PORT ' + server.address().port));
    server.on('connection', socket => {
        socket.on('message', (data, binary) => socket.send(data, { binary }));
        socket.on('error', error => console.error(String(error)));
    });
} else {
    const socket = new WebSocket(url, { perMessageDeflate: how === 'plain' ? false : packed(how === 'context') });
    const sizes = [0, 1, 125, 126, 1023, 1024, 65535, 65536, 1000000];
    const noise = Array.from({ length: 1000000 }, (_, i) => 'ab\u03bacdefg'[(i * i + (i >> 7)) % 8]).join('');
    const messages = sizes.flatMap(n => [noise.slice(0, n), Buffer.from(noise.slice(0, n / 2))]);
    let next = 0;
    const send = () => socket.send(messages[next]);
    socket.on('open', () => { socket.ping('hello'); send(); });
    socket.on('error', error => { console.error(String(error)); process.exit(1); });
    socket.on('message', (data, binary) => {
        const sent = Buffer.from(messages[next]);
        if (!sent.equals(data) || binary !== (typeof messages[next] !== 'string')) {
            console.error(`message ${next} does not come back`);
            process.exit(1);
        }
        next += 1;
        if (next < messages.length) send();
        else socket.close(3002, 'done');
    });
    socket.on('close', code => console.log(code === 3002 && next === messages.length ? 'good' : `closed: ${code}`));
}
