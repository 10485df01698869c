using System.Net;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 1: an unknown client, or a redirect URI that is not byte-equal to a registered one, is a page and never a redirect.</summary>
public sealed class RedirectUriTests(AppFixture<RedirectUriTests> fixture) : IClassFixture<AppFixture<RedirectUriTests>>
{
    private const string Registered = "https://client.example/callback";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Theory]
    [InlineData("https://client.example/callback/extra")]
    [InlineData("https://client.example/callback?extra=1")]
    [InlineData("https://client.example/callback?")]
    [InlineData("https://client.example/callback/")]
    [InlineData("https://client.example//callback")]
    [InlineData("https://client.example/Callback")]
    [InlineData("https://CLIENT.example/callback")]
    [InlineData("HTTPS://client.example/callback")]
    [InlineData("https://user@client.example/callback")]
    [InlineData("https://client.example@evil.example/callback")]
    [InlineData("https://client.example:secret@evil.example/callback")]
    [InlineData("https://client.example/%2e%2e/callback")]
    [InlineData("https://client.example/%2E/callback")]
    [InlineData("https://client.example/./callback")]
    [InlineData("https://client.example/x/../callback")]
    [InlineData("https://client.example/%63allback")]
    [InlineData("https://client%2eexample/callback")]
    [InlineData("https://client.example:443/callback")]
    [InlineData("https://client.example:8443/callback")]
    [InlineData("http://client.example/callback")]
    [InlineData("https://client.example/callback#fragment")]
    [InlineData("https://client.example/callback#")]
    [InlineData(@"https://client.example\callback")]
    [InlineData(@"https:\\client.example\callback")]
    [InlineData(@"https://evil.example\@client.example/callback")]
    [InlineData("https://client.example.evil.example/callback")]
    [InlineData("https://client.example./callback")]
    [InlineData("https://evil.example/https://client.example/callback")]
    [InlineData("//client.example/callback")]
    [InlineData("/callback")]
    [InlineData("https:client.example/callback")]
    [InlineData(" https://client.example/callback")]
    [InlineData("https://client.example/callback ")]
    [InlineData("https://client.example/callback\n")]
    [InlineData("https://client.example/callback\r\nLocation: https://evil.example")]
    [InlineData("https://client.example/callback\0")]
    [InlineData("javascript:alert(1)")]
    [InlineData("https://clıent.example/callback")]
    public async Task Authorize_with_a_near_miss_of_the_redirect_uri_is_a_400_page(string presented)
    {
        var client = await OAuthFlow.AddClientAsync(app, Registered);

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("redirect_uri", presented)));

        await AssertPageAsync(response);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
    }

    /// <summary>RFC 8252 7.3: the port is the system's to choose.</summary>
    [Theory]
    [InlineData("http://127.0.0.1:4000/callback?app=1", "http://127.0.0.1:51234/callback?app=1")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:51234/callback")]
    [InlineData("http://127.0.0.1:4000/callback", "http://127.0.0.1/callback")]
    [InlineData("http://[::1]:4000/callback", "http://[::1]:51234/callback")]
    [InlineData("http://localhost:4000/callback", "http://localhost:65535/callback")]
    public async Task Authorize_of_a_public_client_accepts_any_port_of_its_loopback_address(string registered, string presented)
    {
        var client = await OAuthFlow.AddClientAsync(app, registered, isPublic: true);

        var redirect = await flow.ApproveAsync(
            client, "user_loopback", ("redirect_uri", presented), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));

        Assert.StartsWith(presented, redirect.OriginalString, StringComparison.Ordinal);
        var tokens = await flow.PostAsync(
            "/oauth/token", client, ("grant_type", "authorization_code"), ("code", OAuthFlow.Parameter(redirect, "code")), ("redirect_uri", presented),
            ("code_verifier", OAuthFlow.Verifier));
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
    }

    [Theory]
    [InlineData("http://localhost:4000/callback")]
    [InlineData("http://127.0.0.2:4000/callback")]
    [InlineData("http://127.1:4000/callback")]
    [InlineData("http://2130706433:4000/callback")]
    [InlineData("http://[::1]:4000/callback")]
    [InlineData("https://127.0.0.1:4000/callback")]
    [InlineData("http://127.0.0.1:4001/callback/")]
    [InlineData("http://127.0.0.1:4001/other")]
    [InlineData("http://127.0.0.1:4001/callback?x=1")]
    [InlineData("http://127.0.0.1:4001/callback#x")]
    [InlineData("http://127.0.0.1:4001/callback\n")]
    [InlineData("http://127.0.0.1:4001")]
    [InlineData("http://127.0.0.1:/callback")]
    [InlineData("http://127.0.0.1:0/callback")]
    [InlineData("http://127.0.0.1:65536/callback")]
    [InlineData("http://127.0.0.1:999999/callback")]
    [InlineData("http://127.0.0.1:4001@evil.example/callback")]
    [InlineData("http://user@127.0.0.1:4001/callback")]
    [InlineData("http://127.0.0.1.evil.example:4001/callback")]
    [InlineData("http://127.0.0.1:٤٠٠١/callback")]
    public async Task Authorize_of_a_public_client_refuses_everything_else_about_its_loopback_address(string presented)
    {
        var client = await OAuthFlow.AddClientAsync(app, "http://127.0.0.1:4000/callback", isPublic: true);

        using var response = await flow.AuthorizeAsync(
            OAuthFlow.Parameters(client, ("redirect_uri", presented), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")));

        await AssertPageAsync(response);
    }

    [Fact]
    public async Task Authorize_of_a_confidential_client_on_another_loopback_port_is_a_400_page()
    {
        var client = await OAuthFlow.AddClientAsync(app, "http://127.0.0.1:4000/callback");

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("redirect_uri", "http://127.0.0.1:4001/callback")));

        await AssertPageAsync(response);
    }

    [Fact]
    public async Task Authorize_of_a_public_client_on_another_port_of_a_real_host_is_a_400_page()
    {
        var client = await OAuthFlow.AddClientAsync(app, "https://client.example:8443/callback", isPublic: true);

        using var response = await flow.AuthorizeAsync(
            OAuthFlow.Parameters(
                client, ("redirect_uri", "https://client.example:8444/callback"), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256")));

        await AssertPageAsync(response);
    }

    [Theory]
    [InlineData("nobody")]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("' OR 1=1 --")]
    [InlineData("<script>alert(1)</script>")]
    public async Task Authorize_of_an_unknown_client_is_a_400_page(string? clientId)
    {
        using var response = await flow.AuthorizeAsync(("response_type", "code"), ("client_id", clientId), ("redirect_uri", Registered), ("state", "x"));

        await AssertPageAsync(response);
        Assert.DoesNotContain("<script", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Authorize_of_a_disabled_client_is_a_400_page()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsDisabled: true));

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client));

        await AssertPageAsync(response);
    }

    /// <summary>Which of the two would be the right one? Neither is safe.</summary>
    [Theory]
    [InlineData("client_id")]
    [InlineData("redirect_uri")]
    public async Task Authorize_with_a_repeated_client_id_or_redirect_uri_is_a_400_page(string name)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var parameters = OAuthFlow.Parameters(client);

        using var response = await flow.AuthorizeAsync([.. parameters, parameters.Single(parameter => parameter.Name == name)]);

        await AssertPageAsync(response);
    }

    [Fact]
    public async Task Authorize_without_redirect_uri_uses_the_only_registered_one()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        var redirect = await flow.ApproveAsync(client, "user_default", ("redirect_uri", null));

        Assert.StartsWith(Registered + "?code=", redirect.OriginalString, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Authorize_without_redirect_uri_of_a_client_with_two_is_a_400_page()
    {
        var client = await OAuthFlow.AddClientAsync(app, moreRedirectUris: "https://client.example/other");

        using var response = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("redirect_uri", null)));

        await AssertPageAsync(response);
    }

    /// <summary>RFC 6749 3.1.2: the query that was registered is retained.</summary>
    [Fact]
    public async Task Authorize_keeps_the_query_of_the_redirect_uri()
    {
        const string uri = "https://client.example/callback?tenant=a%20b&x=%2F";
        var client = await OAuthFlow.AddClientAsync(app, uri);

        var redirect = await flow.ApproveAsync(client, "user_query");

        Assert.StartsWith(uri + "&code=", redirect.OriginalString, StringComparison.Ordinal);
        Assert.Equal("tenant x code state iss", OAuthFlow.ParameterNames(redirect));
    }

    /// <summary>What people are shown is who gets the answer; after a private-use scheme anything can stand.</summary>
    [Theory]
    [InlineData("https://client.example/callback", "client.example", "https://client.example")]
    [InlineData("https://client.example:8443/callback", "client.example", "https://client.example:8443")]
    [InlineData("http://127.0.0.1:4000/callback", "127.0.0.1:4000", "http://127.0.0.1:4000")]
    [InlineData("http://localhost/callback", "localhost", "http://localhost")]
    [InlineData("http://[::1]:4000/callback", "[::1]:4000", "http:")]
    [InlineData("com.evil.app://chatgpt.com/callback", "com.evil.app:", "com.evil.app:")]
    [InlineData("com.example.app:/callback", "com.example.app:", "com.example.app:")]
    public void Host_and_content_security_source_name_who_gets_the_answer(string address, string host, string source)
    {
        Assert.Equal(host, RedirectUri.Host(address));
        Assert.Equal(source, RedirectUri.ContentSecuritySource(address));
    }

    private static async Task AssertPageAsync(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Null(response.Headers.Location);
        Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains("quote this number", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
