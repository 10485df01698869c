using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Clients;

/// <summary>
/// Clients that we did not write complete the flow against the program in a process of its own: sign-in, consent, code, tokens, refresh, revoke.
/// </summary>
public sealed class ClientTests(ClientProcess fixture) : IClassFixture<ClientProcess>
{
    private const string RedirectUri = "https://client.example/callback";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>By discovery (RFC 9728, then RFC 8414), with PKCE and resource; the access token is verified as a resource server would.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Oauth4webapi_with_pkce_completes_the_flow(bool isPublic)
    {
        var (id, secret) = await fixture.AddClientAsync("oauth4webapi", isPublic ? "--public" : "--json");

        var result = await RunAsync("oauth4webapi.mjs", id, secret);

        Assert.Equal(fixture.BaseUrl, result.GetProperty("issuer").GetString());
        Assert.Equal("user_oauth4webapi", result.GetProperty("subject").GetString());
        Assert.Equal(fixture.BaseUrl + "/gpt", result.GetProperty("audience").GetString());
        Assert.Equal("jobs:read resume:read", result.GetProperty("scope").GetString());
        Assert.Equal(900, result.GetProperty("expiresIn").GetInt32());
        Assert.True(result.GetProperty("isRotated").GetBoolean());
        Assert.Equal("invalid_grant", result.GetProperty("afterRevocation").GetString());
        if (!isPublic)
        {
            Assert.True(result.GetProperty("activeBefore").GetBoolean());
            Assert.False(result.GetProperty("activeAfter").GetBoolean());
        }
    }

    /// <summary>As the GPT builder's clients do it: no PKCE, no discovery, the secret in the header or in the body.</summary>
    [Theory]
    [InlineData("header")]
    [InlineData("body")]
    public async Task Simple_oauth2_without_pkce_completes_the_flow(string mode)
    {
        var (id, secret) = await fixture.AddClientAsync("simple-oauth2", "--no-pkce");

        var result = await RunAsync("simple-oauth2.mjs", id, secret, mode);

        Assert.True(result.GetProperty("state").GetBoolean());
        Assert.Equal(fixture.BaseUrl, result.GetProperty("issuer").GetString());
        Assert.Equal("Bearer", result.GetProperty("tokenType").GetString());
        Assert.Equal("jobs:read", result.GetProperty("scope").GetString());
        Assert.False(result.GetProperty("isExpired").GetBoolean());
        Assert.True(result.GetProperty("isRotated").GetBoolean());
        Assert.Equal("invalid_grant", result.GetProperty("afterRevocation").GetString());
    }

    private async Task<JsonElement> RunAsync(string script, string id, string? secret, params string[] more) =>
        JsonElement.Parse(await ClientPackages.RunAsync(Patience, script, [fixture.BaseUrl, id, secret ?? "", RedirectUri, .. more]));
}

/// <summary>The program in a process of its own, under the address that it calls itself.</summary>
public sealed class ClientProcess : IAsyncLifetime
{
    private Dictionary<string, string?> settings = null!;
    private TestDatabase database = null!;
    private AppProcess app = null!;

    internal string BaseUrl => app.Http.BaseAddress!.GetLeftPart(UriPartial.Authority);

    public async Task InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(nameof(ClientTests));
        settings = TestApp.DefaultSettings(database.Url, 0);
        settings["PUBLIC_BASE_URL"] = null; // in Development: http on the port that it listens on
        app = await AppProcess.StartAsync(settings);
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await database.DisposeAsync();
    }

    internal async Task<(string Id, string? Secret)> AddClientAsync(string name, string option)
    {
        var (exitCode, output, error) = await AppProcess.RunAsync(
            settings, "clients", "add", "--name", name, "--redirect-uri", "https://client.example/callback", option, "--json");
        Assert.True(exitCode == 0, error);
        var client = JsonElement.Parse(output);
        return (client.GetProperty("client_id").GetString()!, client.TryGetProperty("client_secret", out var secret) ? secret.GetString() : null);
    }
}
