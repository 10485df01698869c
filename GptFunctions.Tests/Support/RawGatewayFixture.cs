namespace GptFunctions.Tests.Support;

/// <summary>An app whose gateway leads to an upstream that answers in octets.</summary>
public class RawGatewayFixture<TTests> : IAsyncLifetime
{
    internal TestApp App { get; private set; } = null!;

    internal RawUpstream Upstream { get; } = new();

    internal GatewayUsers Users { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, typeof(TTests).Name + ".json");
        await File.WriteAllTextAsync(path, $$"""
            {
              "routes": [
                { "name": "open", "methods": ["GET", "HEAD", "POST"], "path": "/gpt/open", "upstream": "{{Upstream.Url}}", "scope": "jobs:read",
                  "tier": "read", "timeoutSeconds": 3, "maxResponseCharacters": 0, "audit": true, "passHeaders": ["X-Tenant"] },
                { "name": "capped", "methods": ["GET", "HEAD", "POST"], "path": "/gpt/capped", "upstream": "{{Upstream.Url}}", "scope": "jobs:read",
                  "tier": "read", "timeoutSeconds": 3, "maxResponseCharacters": 1000, "audit": true },
                { "name": "job", "methods": ["GET"], "path": "/gpt/jobs/{id}", "upstream": "{{Upstream.Url}}", "upstreamPath": "/api/v1/job/{id}/details",
                  "scope": "jobs:read", "tier": "read" },
                { "name": "elsewhere", "methods": ["GET"], "path": "/gpt/elsewhere", "upstream": "https://api.example.com/base", "scope": "jobs:read",
                  "tier": "read" }
              ]
            }
            """);
        App = await TestApp.StartAsync(
            TestDatabase.NameFor(typeof(TTests)),
            new() { ["GATEWAY_CONFIG"] = path, ["GATEWAY_READ_LIMIT"] = "1000000", ["GATEWAY_UPLOAD_TIMEOUT"] = "3" });
        Users = new GatewayUsers(App);
    }

    public async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await Upstream.DisposeAsync();
    }
}
