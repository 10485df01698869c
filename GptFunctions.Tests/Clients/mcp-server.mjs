// An MCP server of the official SDK behind the gateway: streamable HTTP with sessions, and a tool that reports its progress while it works.
// usage: node mcp-server.mjs     (prints "ready PORT")
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const sessions = new Map();

async function connect() {
  const server = new Server({ name: 'jobs', version: '1.0.0' }, { capabilities: { tools: {} } });
  let goOn; // the client says so by calling the tool "go-on"
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: ['search', 'go-on'].map(name => ({ name, inputSchema: { type: 'object' } })) }));
  server.setRequestHandler(CallToolRequestSchema, async (request, extra) => {
    if (request.params.name === 'go-on') {
      goOn();
      return { content: [] };
    }
    for (const progress of [1, 2]) {
      const turn = new Promise(resolve => { goOn = resolve; });
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken: extra._meta.progressToken, progress, total: 2 } });
      await turn; // nothing more is sent before the client has seen this
    }
    return { content: [{ type: 'text', text: extra.requestInfo.headers['x-internal-id'] }] };
  });
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: id => sessions.set(id, transport), onsessionclosed: id => sessions.delete(id) });
  await server.connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  const transport = sessions.get(request.headers['mcp-session-id']) ?? await connect();
  await transport.handleRequest(request, response);
});
http.listen(0, '127.0.0.1', () => console.log(`ready ${http.address().port}`));

process.stdin.on('end', () => process.exit()).resume(); // ends with the test run, also when that is killed
