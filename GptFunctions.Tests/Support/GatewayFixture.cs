using System.Net.Http.Headers;
using System.Text.Json;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Support;

/// <summary>An app whose gateway leads to an upstream in a process of its own.</summary>
public class GatewayFixture<TTests> : IAsyncLifetime
{
    internal TestApp App { get; private set; } = null!;

    internal TestUpstream Upstream { get; private set; } = null!;

    internal GatewayUsers Users { get; private set; } = null!;

    /// <summary>What differs from the default settings.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string?>> Settings => [];

    /// <summary>Writes the routes; the path of their file.</summary>
    protected virtual string Configure(string upstream) => GatewayRoutesFile.Write(typeof(TTests).Name, upstream);

    public virtual async Task InitializeAsync()
    {
        Upstream = await TestUpstream.StartAsync();
        var settings = new Dictionary<string, string?>(Settings, StringComparer.Ordinal)
        {
            ["GATEWAY_CONFIG"] = Configure(Upstream.Url),
            ["CLIENT_ADDRESS_HEADER"] = "X-Real-IP",
        };
        try
        {
            App = await TestApp.StartAsync(TestDatabase.NameFor(typeof(TTests)), settings);
        }
        catch
        {
            await Upstream.DisposeAsync(); // nobody disposes of a fixture that did not start
            throw;
        }

        Users = new GatewayUsers(App);
    }

    public virtual async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await Upstream.DisposeAsync();
    }
}

/// <summary>The routes that tests call.</summary>
internal static class GatewayRoutesFile
{
    public static string Write(string name, string upstream)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("gateway-").FullName, name + ".json");
        File.WriteAllText(path, $$"""
            {
              "openapi": "{{Path.Combine(TestServices.RepositoryRoot, "infra", "config", "openapi.json")}}",
              "routes": [
                { "name": "echo", "methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "path": "/gpt/echo",
                    "upstream": "{{upstream}}", "upstreamPath": "/echo", "scope": "jobs:read", "tier": "read" },
                { "name": "expensive", "methods": ["GET", "POST"], "path": "/gpt/expensive", "upstream": "{{upstream}}", "scope": "applications:write",
                  "tier": "expensive", "audit": true },
                { "name": "other", "methods": ["GET"], "path": "/gpt/other", "upstream": "{{upstream}}", "scope": "jobs:read", "tier": "read" },
                { "name": "item", "methods": ["GET"], "path": "/gpt/items/{id}", "upstream": "{{upstream}}/base", "upstreamPath": "/things/{id}/details",
                  "scope": "jobs:read", "tier": "read" },
                { "name": "special", "methods": ["GET"], "path": "/gpt/items/special", "upstream": "{{upstream}}", "scope": "jobs:read", "tier": "read" },
                { "name": "capped", "methods": ["GET", "HEAD", "POST"], "path": "/gpt/capped/{what}", "upstream": "{{upstream}}", "upstreamPath": "/{what}",
                  "scope": "jobs:read", "tier": "read", "timeoutSeconds": 2, "maxResponseCharacters": 1000 },
                { "name": "open", "methods": ["GET", "POST"], "path": "/gpt/open/{what}", "upstream": "{{upstream}}", "upstreamPath": "/{what}",
                  "scope": "jobs:read", "tier": "read", "timeoutSeconds": 2, "maxResponseCharacters": 0, "audit": true },
                { "name": "stream", "methods": ["GET"], "path": "/gpt/stream/{what}", "upstream": "{{upstream}}", "upstreamPath": "/{what}",
                  "scope": "jobs:read", "tier": "read", "maxResponseCharacters": 0 },
                { "name": "long", "methods": ["GET"], "path": "/gpt/long/{what}", "upstream": "{{upstream}}", "upstreamPath": "/{what}", "scope": "jobs:read",
                  "tier": "read", "maxResponseCharacters": 0, "audit": true },
                { "name": "dead", "methods": ["GET", "POST"], "path": "/gpt/dead", "upstream": "http://127.0.0.1:1", "scope": "jobs:read", "tier": "read" },
                { "name": "web", "methods": ["GET"], "path": "/gpt/web", "upstream": "{{upstream}}", "scope": "resume:read", "tier": "read",
                  "allowClerkSession": true },
                { "name": "apply", "methods": ["GET", "HEAD", "POST"], "path": "/gpt/apply/{what}", "upstream": "{{upstream}}", "upstreamPath": "/{what}",
                  "scope": "applications:write", "tier": "read", "quota": "applications", "timeoutSeconds": 2, "maxResponseCharacters": 1000 },
                { "name": "applyAudited", "methods": ["GET"], "path": "/gpt/apply-audited", "upstream": "{{upstream}}", "scope": "applications:write",
                  "tier": "read", "quota": "applications", "audit": true },
                { "name": "applyDead", "methods": ["GET"], "path": "/gpt/apply-dead", "upstream": "http://127.0.0.1:1", "scope": "applications:write",
                  "tier": "read", "quota": "applications" },
                { "name": "applyRarely", "methods": ["GET"], "path": "/gpt/apply-rarely", "upstream": "{{upstream}}", "scope": "applications:write",
                  "tier": "expensive", "quota": "applications" },
                { "name": "export", "methods": ["GET"], "path": "/gpt/export", "upstream": "{{upstream}}", "scope": "applications:read", "tier": "read",
                  "quota": "exports" }
              ],
              "plans": {
                "free": { "applications": 5 },
                "closed": { "applications": 0 },
                "pro": { "applications": -1, "exports": 2 }
              },
              "defaultPlan": null
            }
            """);
        return path;
    }
}

/// <summary>A user with a session, and the access token that goes with it.</summary>
internal sealed record GatewayUser(string Subject, Guid Id, Guid SessionId, string ClientId, string Token);

/// <summary>Makes users, sessions and tokens without walking the whole flow.</summary>
internal sealed class GatewayUsers(TestApp app)
{
    public const string AllScopes = "jobs:read applications:read applications:write resume:read";
    private readonly Lazy<Task<TestClient>> client = new(() => OAuthFlow.AddClientAsync(app));

    public async Task<GatewayUser> AddAsync(
        string? subject = null, string scope = AllScopes, string? plan = null, TestClient? of = null, string? planStatus = null)
    {
        subject ??= $"user_{Guid.NewGuid():N}";
        var (id, session, clientId) = (Guid.NewGuid(), Guid.CreateVersion7(), (of ?? await client.Value).Id);
        // Without triggers: a notice that comes late would drop what a test has just made the app remember.
        id = await app.Database.ScalarAsync<Guid>(
            """
            WITH silent AS MATERIALIZED (SELECT set_config('session_replication_role', 'replica', true))
            INSERT INTO users (id, clerk_user_id, plan, plan_status, created_at) SELECT $1, $2, $3, $4, now() FROM silent
            ON CONFLICT (clerk_user_id) DO UPDATE SET plan = excluded.plan RETURNING id
            """, id, subject, (object?)plan ?? DBNull.Value, (object?)planStatus ?? DBNull.Value);
        await app.Database.ScalarAsync<int>(
            """
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
            VALUES ($1, $2, $3, $4, $4, $5, now(), now(), now() + interval '180 days')
            """, session, clientId, id, scope.Split(' '), app.BaseUrl + "/gpt");
        var token = app.Get<AccessTokens>().Issue(subject, clientId, session, scope, app.BaseUrl + "/gpt");
        RunLog.NoteSecret(token);
        return new GatewayUser(subject, id, session, clientId, token);
    }
}

/// <summary>What the upstream says it received.</summary>
internal sealed record Echo(string Method, string Url, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    public static Echo Of(string json)
    {
        var root = JsonElement.Parse(json);
        var raw = root.GetProperty("headers").EnumerateArray().Select(item => item.GetString()!).ToArray();
        return new Echo(
            root.GetProperty("method").GetString()!, root.GetProperty("url").GetString()!, [.. raw.Chunk(2).Select(pair => (pair[0], pair[1]))],
            root.GetProperty("body").GetString()!);
    }

    /// <summary>The header, which must be there once at most; null when it is not there.</summary>
    public string? this[string name] => Headers.SingleOrDefault(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
}

internal static class GatewayRequests
{
    /// <summary>Calls the gateway with this bearer token.</summary>
    public static async Task<HttpResponseMessage> CallAsync(
        this HttpClient http, string? token, string path, HttpMethod? method = null, HttpContent? content = null,
        HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, new Uri(path, UriKind.Relative)) { Content = content };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        foreach (var (name, value) in headers)
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        return await http.SendAsync(request, completion);
    }

    public static async Task<Echo> EchoAsync(this HttpClient http, GatewayUser user, string path = "/gpt/echo", params (string Name, string Value)[] headers)
    {
        using var response = await http.CallAsync(user.Token, path, headers: headers);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode} {text}");
        return Echo.Of(text);
    }

    /// <summary>The problem document of a refusal, after checking that it is one.</summary>
    public static async Task<JsonElement> ProblemAsync(this HttpResponseMessage response)
    {
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.True(response.Headers.CacheControl?.NoStore);
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal((int)response.StatusCode, problem.GetProperty("status").GetInt32());
        Assert.Equal(Assert.Single(response.Headers.GetValues("x-correlation-id")), problem.GetProperty("correlation_id").GetString());
        Assert.EndsWith(".", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        return problem;
    }
}
