using System.Net;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>
/// identity.md 6, architecture.md 3: the identity provider is away or talks nonsense: 503, nothing is written, and nobody waits in a queue for it.
/// </summary>
public sealed class ProviderOutageTests
{
    [Theory]
    [InlineData("down")]
    [InlineData("another issuer")]
    [InlineData("no token endpoint")]
    [InlineData("no authorization endpoint")]
    [InlineData("no address of the keys")]
    [InlineData("endpoint that is no URL")]
    [InlineData("endpoint of another scheme")]
    [InlineData("keys of another scheme")]
    [InlineData("endpoint that is a number")]
    public async Task Authorize_while_discovery_fails_is_a_503_page_and_writes_no_row(string kind)
    {
        await using var provider = await FakeProvider.StartAsync(isDown: kind == "down");
        await using var app = await TestApp.StartAsync("provider_outage", provider.Settings);
        var client = await OAuthFlow.AddClientAsync(app);
        var good = provider.Discovery;
        provider.Discovery = Broken(good.DeepClone().AsObject(), kind);

        using var failed = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));
        var rows = await app.Database.CountAsync("gpt_authorization_requests");
        provider.IsDown = false;
        provider.Discovery = good;
        using var recovered = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.NotNull(failed.Headers.RetryAfter);
        Assert.Equal("text/html", failed.Content.Headers.ContentType?.MediaType);
        Assert.Equal(0, rows);
        Assert.StartsWith(provider.Issuer + "/authorize?", recovered.Headers.Location?.OriginalString, StringComparison.Ordinal);
    }

    public static TheoryData<string> BadDocuments { get; } = new(FakeProvider.Unusable.Keys);

    [Theory]
    [MemberData(nameof(BadDocuments))]
    public async Task Authorize_with_a_discovery_document_that_is_bad_is_a_503_page(string kind)
    {
        await using var provider = await FakeProvider.StartAsync();
        await using var app = await TestApp.StartAsync("provider_document", provider.Settings);
        var client = await OAuthFlow.AddClientAsync(app);
        provider.Instead["/.well-known/openid-configuration"] = FakeProvider.Unusable[kind];

        using var failed = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));
        provider.Instead.Clear();
        using var recovered = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.Equal(HttpStatusCode.Redirect, recovered.StatusCode);
    }

    /// <summary>The same without anybody listening: the connection is refused.</summary>
    [Fact]
    public async Task Authorize_while_nobody_listens_is_a_503_page()
    {
        var provider = await FakeProvider.StartAsync();
        await provider.DisposeAsync();
        await using var app = await TestApp.StartAsync("provider_outage_refused", provider.Settings);

        using var response = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app)));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests"));
    }

    /// <summary>A day later the document is read again; while that fails, what is known goes on.</summary>
    [Fact]
    public async Task Sign_in_goes_on_with_known_metadata_and_keys_while_discovery_is_away()
    {
        await using var provider = await FakeProvider.StartAsync();
        await using var app = await TestApp.StartAsync("provider_outage_later", provider.Settings);
        var client = await OAuthFlow.AddClientAsync(app);
        using var before = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));

        provider.IsDown = true;
        app.Clock.Advance(TimeSpan.FromHours(25));
        using var during = await new OAuthFlow(app.Http).AuthorizeAsync(OAuthFlow.Parameters(client));

        Assert.Equal(HttpStatusCode.Redirect, before.StatusCode);
        Assert.Equal(HttpStatusCode.Redirect, during.StatusCode);
        Assert.Equal(1, provider.Refused);
    }

    /// <summary>Discovery 4.3 says what the token endpoint takes; a provider without Basic gets the credentials in the form.</summary>
    [Fact]
    public async Task Sign_in_at_a_provider_without_basic_sends_the_credentials_in_the_form()
    {
        await using var provider = await FakeProvider.StartAsync();
        provider.Discovery["token_endpoint_auth_methods_supported"] = new JsonArray("client_secret_post", "private_key_jwt");
        await using var app = await TestApp.StartAsync("provider_post", provider.Settings);
        var browser = new TestBrowser(app.Http);
        using var start = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(await OAuthFlow.AddClientAsync(app))));

        var state = OAuthFlow.Parameter(start.Headers.Location!, "state");
        using var response = await browser.GetAsync("/oauth/callback" + OAuthFlow.Query([("code", "x"), ("state", state)]));
        var (form, authorization) = Assert.Single(provider.TokenRequests);

        Assert.Equal(FakeProvider.ClientId, form["client_id"]);
        Assert.Equal("provider-secret", form["client_secret"]);
        Assert.Empty(authorization);
    }

    private static JsonObject Broken(JsonObject discovery, string kind)
    {
        switch (kind)
        {
            case "another issuer":
                discovery["issuer"] = "https://evil.example";
                break;
            case "no token endpoint":
                discovery.Remove("token_endpoint");
                break;
            case "no authorization endpoint":
                discovery.Remove("authorization_endpoint");
                break;
            case "no address of the keys":
                discovery.Remove("jwks_uri");
                break;
            case "endpoint of another scheme":
                discovery["token_endpoint"] = "ftp://127.0.0.1/token";
                break;
            case "keys of another scheme":
                discovery["jwks_uri"] = "file:///etc/hostname";
                break;
            case "endpoint that is a number":
                discovery["authorization_endpoint"] = 1;
                break;
            case "endpoint that is no URL":
                discovery["authorization_endpoint"] = "/authorize";
                break;
            default:
                break;
        }

        return discovery;
    }
}
