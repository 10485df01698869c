// An MCP client of the official SDK calls a tool through the gateway and sees each step of its progress when it happens.
// usage: node mcp-client.mjs BASE_URL ACCESS_TOKEN
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [baseUrl, token] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(`${baseUrl}/gpt/mcp`), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
const client = new Client({ name: 'test', version: '1.0.0' });
await client.connect(transport);
const { tools } = await client.listTools();
const seen = [];
const goOns = []; // answered after what they let go on, perhaps
const result = await client.callTool({ name: 'search', arguments: {} }, undefined, {
  onprogress({ progress }) {
    seen.push(progress);
    goOns.push(client.callTool({ name: 'go-on', arguments: {} }));
  },
});
await Promise.all(goOns);
const sessionId = transport.sessionId;
await transport.terminateSession(); // DELETE
await client.close();
console.log(JSON.stringify({ server: client.getServerVersion().name, tools: tools.map(tool => tool.name), seen, internalId: result.content[0].text, hadSession: Boolean(sessionId) }));
