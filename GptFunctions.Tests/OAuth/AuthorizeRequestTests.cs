using System.Net;
using GptFunctions.OAuth;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

public sealed class AuthorizeRequestFixture : AppFixture<AuthorizeRequestTests>
{
    public const int Limit = 60;

    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("CLIENT_ADDRESS_HEADER", "X-Real-IP"), new("GPT_AUTHORIZE_LIMIT", $"{Limit}")];
}

/// <summary>What nobody signed in for leaves nothing behind; what somebody did can be finished on any replica, once, by the browser that began it.</summary>
public sealed class AuthorizeRequestTests(AuthorizeRequestFixture fixture) : IClassFixture<AuthorizeRequestFixture>
{
    private const string SignInForm = "/dev/sign-in";
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Requests_that_nobody_signed_in_for_leave_no_row()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);

        for (var index = 0; index < AuthorizeRequestFixture.Limit; index++)
        {
            using var started = await AuthorizeAsync(client, "198.51.100.7", new string('s', 2000) + index);
            Assert.StartsWith(SignInForm, started.Headers.Location?.OriginalString, StringComparison.Ordinal);
        }

        using var page = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var state = TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync()).Single(field => field.Name == "request").Value;
        using var failed = await browser.GetAsync("/oauth/callback" + OAuthFlow.Query([("error", "access_denied"), ("state", state)]));

        Assert.StartsWith(client.RedirectUri + "?error=", failed.Headers.Location?.OriginalString, StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_requests", $"client_id = '{client.Id}'"));
        Assert.Equal(
            0, await app.Database.CountAsync("outbox_messages", $"routing_key LIKE 'gpt.oauth.%' AND envelope -> 'payload' ->> 'client_id' = '{client.Id}'"));
    }

    /// <summary>A bucket for each address and, for IPv6, for each /64.</summary>
    [Theory]
    [InlineData("203.0.113.9", "203.0.113.9", "203.0.113.10")]
    [InlineData("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")]
    public async Task Requests_beyond_the_limit_of_their_network_are_a_429_page(string address, string sameNetwork, string elsewhere)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var answers = await Task.WhenAll(Enumerable.Range(0, AuthorizeRequestFixture.Limit + 40).Select(_ => AuthorizeAsync(client, address)));

        var refused = await AuthorizeAsync(client, sameNetwork);
        for (var more = 0; more < 3 && refused.StatusCode == HttpStatusCode.Redirect; more++) // one flows back each second
        {
            refused = await AuthorizeAsync(client, sameNetwork);
        }

        using var others = await AuthorizeAsync(client, elsewhere);

        // What flows back while the test runs is admitted too.
        Assert.InRange(
            answers.Count(answer => answer.StatusCode == HttpStatusCode.Redirect), AuthorizeRequestFixture.Limit, AuthorizeRequestFixture.Limit + 39);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("text/html", refused.Content.Headers.ContentType?.MediaType);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        Assert.Contains("Wait ", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Redirect, others.StatusCode);
    }

    /// <summary>2 KB are bytes: a letter may be two of them.</summary>
    [Theory]
    [InlineData("s", 2048, true)]
    [InlineData("s", 2049, false)]
    [InlineData("\u00fc", 1024, true)]
    [InlineData("\u00fc", 1025, false)]
    public async Task State_of_more_than_2_kilobytes_is_an_error_for_the_client(string letter, int count, bool isAccepted)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var state = string.Concat(Enumerable.Repeat(letter, count));

        using var response = await AuthorizeAsync(client, "192.0.2.20", state);

        var location = response.Headers.Location!.OriginalString;
        Assert.StartsWith(
            isAccepted ? SignInForm : client.RedirectUri + "?error=invalid_request&error_description=state%20is%20longer%20than%202%20KB", location,
            StringComparison.Ordinal);
        Assert.True(isAccepted || OAuthFlow.Parameter(response.Headers.Location!, "state") == state);
    }

    /// <summary>The server's own limit of a request line; nothing of it gets as far as the database.</summary>
    [Fact]
    public async Task Request_of_more_than_8_kilobytes_is_414()
    {
        using var response = await app.Http.GetAsync(new Uri("/oauth/authorize?state=" + new string('s', 8 * 1024), UriKind.Relative));

        Assert.Equal(HttpStatusCode.RequestUriTooLong, response.StatusCode);
    }

    /// <summary>Whatever was allowed in comes back from the provider in a request line that servers take (8 KB).</summary>
    [Fact]
    public async Task Request_of_the_greatest_size_fits_into_the_way_back()
    {
        var redirectUri = "https://client.example/" + new string('p', 1970);
        var client = await OAuthFlow.AddClientAsync(app, redirectUri);

        using var response = await AuthorizeAsync(
            client, "192.0.2.21", new string('s', 2048), ("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"));
        using var page = await new TestBrowser(app.Http).GetAsync(
            "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client, ("state", new string('s', 2048)))));

        Assert.InRange(OAuthFlow.Parameter(new Uri("http://x" + response.Headers.Location!.OriginalString), "request")!.Length, 5000, 6500);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
    }

    [Fact]
    public async Task Request_of_more_than_8_kilobytes_is_refused()
    {
        var client = await OAuthFlow.AddClientAsync(app);

        using var response = await AuthorizeAsync(client, "192.0.2.22", "s", ("whatever", new string('x', 8 * 1024)));

        Assert.Equal(HttpStatusCode.RequestUriTooLong, response.StatusCode);
    }

    [Fact]
    public async Task Request_is_finished_by_whichever_replica_it_comes_to()
    {
        await using var replica = await app.StartReplicaAsync(("PUBLIC_BASE_URL", app.BaseUrl));
        using var http = new HttpClient(new InTurn(app.Settings["PORT"]!, replica.Settings["PORT"]!)) { BaseAddress = new Uri(app.BaseUrl) };
        var client = await OAuthFlow.AddClientAsync(app);
        var both = new OAuthFlow(http);

        var tokens = await both.TokensAsync(client, "user_replicas", ("state", "over two replicas"));

        Assert.Equal(HttpStatusCode.OK, tokens.Status);
    }

    /// <summary>During the rotation of GPT_REFRESH_KEY a sign-in that began with the older key is finished; with none of them it is not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Request_survives_the_rotation_of_its_key(bool isOldKeyKept)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var newKey = Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        await using var replica = await app.StartReplicaAsync(("GPT_REFRESH_KEY", isOldKeyKept ? $"{newKey} {app.Settings["GPT_REFRESH_KEY"]}" : newKey));

        using var next = await browser.At(replica.Http).SubmitAsync(page, ("user_id", "user_rotation"));

        Assert.Equal(isOldKeyKept ? HttpStatusCode.OK : HttpStatusCode.Forbidden, next.StatusCode);
    }

    [Fact]
    public async Task Request_that_was_changed_on_its_way_is_403()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        var state = TestBrowser.HiddenFields(await page.Content.ReadAsStringAsync()).Single(field => field.Name == "request").Value!;

        foreach (var place in (int[])[0, 15, 16, 40, state.Length / 2, state.Length - 30, state.Length - 2])
        {
            var changed = state[..place] + (state[place] == 'A' ? 'B' : 'A') + state[(place + 1)..];
            using var response = await browser.GetAsync($"{SignInForm}?request={changed}");
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }

        using var unchanged = await browser.GetAsync($"{SignInForm}?request={state}");
        Assert.Equal(HttpStatusCode.OK, unchanged.StatusCode);
    }

    /// <summary>Whoever answered with no has answered: the sign-in that led there is not good a second time.</summary>
    [Fact]
    public async Task Request_that_was_denied_cannot_be_signed_in_for_again()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var form = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        using var page = await browser.SubmitAsync(form, ("user_id", "user_denied_once"));
        using var denied = await browser.SubmitAsync(page, ("decision", "deny"));

        using var again = await browser.SubmitAsync(form, ("user_id", "user_denied_once"));

        Assert.Equal(HttpStatusCode.SeeOther, denied.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, again.StatusCode);
    }

    [Fact]
    public async Task Request_of_a_client_that_was_disabled_meanwhile_is_403()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var form = await browser.GetAsync("/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        await app.Get<ClientService>().UpdateAsync(client.Id, new ClientChange(IsDisabled: true));

        using var next = await browser.SubmitAsync(form, ("user_id", "user_of_disabled"));

        Assert.Equal(HttpStatusCode.Forbidden, next.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("users", "clerk_user_id = 'user_of_disabled'"));
    }

    private async Task<HttpResponseMessage> AuthorizeAsync(TestClient client, string address, string? state = "s", params (string Name, string? Value)[] more)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client, [("state", state), .. more])))
        {
            Headers = { { "X-Real-IP", address } },
        };
        return await app.Http.SendAsync(request);
    }

    /// <summary>Sends each request to the next port.</summary>
    private sealed class InTurn(params string[] ports) : DelegatingHandler(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
    {
        private int count;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var port = ports[(uint)Interlocked.Increment(ref count) % ports.Length];
            request.RequestUri = new UriBuilder(request.RequestUri!) { Port = int.Parse(port, System.Globalization.CultureInfo.InvariantCulture) }.Uri;
            return base.SendAsync(request, cancellationToken);
        }
    }
}
