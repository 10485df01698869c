using System.Net;
using GptFunctions.Statistics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Statistics;

/// <summary>statistics.md 6: every way in which an authorization request can go on or stop, as it is told to operators.</summary>
public sealed class SignInStepsTests(GatewayFixture<SignInStepsTests> fixture) : IClassFixture<GatewayFixture<SignInStepsTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = new(fixture.App.Http);

    [Fact]
    public async Task Sign_in_to_the_first_call_has_the_time_of_each_step()
    {
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read"]);
        var code = await flow.CodeAsync(client, "user_steps");
        Assert.Equal(("UnderWay", "The code was delivered; its exchange is to come."), Told(await ReadAsync(client)));
        var tokens = await flow.ExchangeAsync(client, code);
        Assert.Equal(("UnderWay", "Connected; the app has not called yet."), Told(await ReadAsync(client)));
        using var call = await app.Http.CallAsync(tokens["access_token"], "/gpt/echo");
        Assert.Equal(HttpStatusCode.OK, call.StatusCode);

        var (entry, story) = await ReadAsync(client);
        Assert.Equal((SignInState.Works, SignInReached.FirstCall, "user_steps", true), (story.State, entry.Reached, entry.Subject, entry.WasAsked));
        DateTimeOffset?[] times = [entry.At, entry.SignedInAt, entry.ShownAt, entry.ConsentedAt, entry.ExchangedAt, entry.CalledAt];
        Assert.All(times, time => Assert.NotNull(time));
        Assert.Equal(times.Select(time => time!.Value.ToUnixTimeMilliseconds()).Order(), times.Select(time => time!.Value.ToUnixTimeMilliseconds()));
        await app.Get<StatisticsWriter>().WriteAsync(isLast: true); // else a minute later
        Assert.Equal(1, await app.Database.CountAsync("client_usage", $"client_id = '{client.Id}' AND calls = 1"));
    }

    [Fact]
    public async Task Remembered_consent_is_told_as_such()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_again");
        await flow.TokensAsync(client, "user_again");
        Assert.False((await ReadAsync(client)).Entry.WasAsked);
    }

    /// <summary>The second process has the exchange and the first call; whichever of them writes first.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Steps_of_two_processes_come_together_in_any_order(bool isOtherFirst)
    {
        await using var other = await app.StartReplicaAsync();
        other.Clock.Advance(app.Clock.GetUtcNow() - other.Clock.GetUtcNow());
        var client = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read"]);
        var code = await flow.CodeAsync(client, "user_two");
        var tokens = await new OAuthFlow(other.Http).ExchangeAsync(client, code);
        using var call = await app.Http.CallAsync(tokens["access_token"], "/gpt/echo"); // its sign-in is not known where it is noted
        foreach (var one in isOtherFirst ? (TestApp[])[other, app, app] : [app, other, app])
        {
            await one.Get<StatisticsWriter>().WriteAsync(false);
        }

        var (entry, _) = await ReadAsync(client);
        Assert.Equal((SignInReached.FirstCall, "user_two", client.RedirectUri), (entry.Reached, entry.Subject, entry.RedirectUri));
    }

    [Fact]
    public async Task Person_who_leaves_is_told_by_the_page_that_they_left()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using (await flow.AuthorizeAsync(OAuthFlow.Parameters(client)))
        {
            Assert.Equal(("UnderWay", "The person was sent to sign in."), Told(await ReadAsync(client)));
            app.Clock.Advance(TimeSpan.FromMinutes(11));
            Assert.Equal(("Stopped", "The person was sent to sign in and never came back."), Told(await ReadAsync(client)));
        }

        using (await new TestBrowser(app.Http).SignInAsync("user_leaves", OAuthFlow.Parameters(client)))
        {
            Assert.Equal(("UnderWay", "The consent page is open."), Told(await ReadAsync(client)));
            app.Clock.Advance(TimeSpan.FromMinutes(11));
            Assert.Equal(("Stopped", "The consent page was shown, and nobody answered."), Told(await ReadAsync(client)));
        }
    }

    [Theory]
    [InlineData("access_denied", "The person cancelled at the identity provider.")]
    [InlineData("server_error", "The identity provider's answer was no sign-in.")]
    public async Task Sign_in_that_fails_is_told(string error, string sentence)
    {
        await using var provider = await FakeProvider.StartAsync();
        await using var own = await TestApp.StartAsync(TestDatabase.NameFor(typeof(SignInStepsTests)) + "_provider", provider.Settings);
        var client = await OAuthFlow.AddClientAsync(own);
        var browser = new TestBrowser(own.Http);
        using var start = new HttpRequestMessage(HttpMethod.Get, "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client)));
        using var started = await browser.SendAsync(start);
        var state = OAuthFlow.Parameter(started.Headers.Location!, "state");
        using var back = new HttpRequestMessage(HttpMethod.Get, "/oauth/callback" + OAuthFlow.Query([("error", error), ("state", state)]));
        using var failed = await browser.SendAsync(back);
        await own.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(("Stopped", sentence), Told(Assert.Single(await own.Get<StatisticsService>().ReadSignInsAsync(new SignInFilter(client.Id), 10))));
    }

    [Fact]
    public async Task Closed_account_and_cancel_are_told()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.CodeAsync(client, "user_closed");
        await app.Database.ExecuteAsync("UPDATE users SET deleted_at = now() WHERE clerk_user_id = 'user_closed'");
        using (await new TestBrowser(app.Http).SignInAsync("user_closed", OAuthFlow.Parameters(client)))
        {
            Assert.Equal(("Stopped", "The account was deleted or is blocked."), Told(await ReadAsync(client)));
        }

        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_cancels", OAuthFlow.Parameters(client));
        using var denied = await browser.SubmitAsync(page, ("decision", "deny"));
        Assert.Equal(("Stopped", "The person pressed Cancel on the consent page."), Told(await ReadAsync(client)));
    }

    [Fact]
    public async Task Exchange_that_never_comes_is_told_with_what_it_usually_means()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.CodeAsync(client, "user_never");
        app.Clock.Advance(TimeSpan.FromMinutes(3));
        var (_, story) = await ReadAsync(client);
        Assert.Equal((SignInState.Stopped, "The code was delivered, and the exchange never came."), (story.State, story.Sentence));
        Assert.StartsWith("The host did not accept our answer", story.Cure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refused_exchanges_are_told_with_their_reason()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var code = await flow.CodeAsync(client, "user_refused");
        await flow.ExchangeAsync(client with { Secret = "wrong" }, code);
        Assert.Equal(("Stopped", "The code was delivered, and the exchange came with a wrong client secret."), Told(await ReadAsync(client)));
        await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));
        Assert.Equal(
            ("Stopped", "The code was delivered, and its exchange refused: redirect URI or PKCE verifier are not those of the request."),
            Told(await ReadAsync(client)));
        app.Clock.Advance(TimeSpan.FromSeconds(90));
        await flow.ExchangeAsync(client, code);
        Assert.Equal(("Stopped", "The code was delivered, and exchanged too late."), Told(await ReadAsync(client)));

        var again = await flow.CodeAsync(client, "user_refused");
        await flow.ExchangeAsync(client, again);
        await flow.ExchangeAsync(client, again);
        Assert.Equal(
            ("Stopped", "The code was exchanged a second time, and the session that it had opened was ended."), Told(await ReadAsync(client)));
    }

    [Fact]
    public async Task App_that_never_calls_is_told()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_silent");
        await app.Get<StatisticsWriter>().WriteAsync(false);
        app.Clock.Advance(TimeSpan.FromDays(1.1));
        Assert.Equal(("Stopped", "Connected; the app did not call within a day."), Told(await ReadAsync(client)));
    }

    [Theory]
    [InlineData("redirect_uri", "https://chatgpt.com/aip/g-copy/oauth/callback",
        "The redirect URI is not registered: it sent https://chatgpt.com/aip/g-copy/oauth/callback, registered is https://client.example/callback.")]
    [InlineData("scope", "everything", "It asked for a scope that the app may not have.")]
    [InlineData("resource", "https://elsewhere.example", "It asked for a resource that is not ours.")]
    [InlineData("response_type", "token", "It asked for another response_type than code.")]
    [InlineData("code_challenge_method", "plain", "The request was incomplete: a parameter is missing, repeated or not readable.")]
    public async Task Request_that_is_refused_at_once_is_told(string name, string value, string sentence)
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var refused = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, (name, value)));
        var (entry, story) = await ReadAsync(client);
        Assert.Equal((SignInReached.Refused, SignInState.Stopped, sentence), (entry.Reached, story.State, story.Sentence));
        Assert.Equal("Test client", entry.ClientName);
    }

    [Fact]
    public async Task Unknown_app_and_a_browser_without_its_cookie_are_told_without_a_client()
    {
        using (await flow.AuthorizeAsync(("client_id", "nobody"), ("response_type", "code")))
        {
            Assert.Equal(("Stopped", "Nobody has this client id, or the app is disabled."), Told(await ReadAsync(null)));
        }

        using (await flow.AuthorizeAsync(("continue", Guid.NewGuid().ToString("N"))))
        {
            Assert.Equal(("Stopped", "The browser came back to a sign-in that is not in progress there."), Told(await ReadAsync(null)));
        }
    }

    [Fact]
    public async Task List_is_filtered_and_paged_by_key()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        for (var n = 0; n < 5; n++)
        {
            app.Clock.Advance(TimeSpan.FromSeconds(1));
            await flow.CodeAsync(client, $"user_list_{n}");
            using var refused = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("scope", "everything")));
        }

        await app.Get<StatisticsWriter>().WriteAsync(false);
        var statistics = app.Get<StatisticsService>();
        var all = await statistics.ReadSignInsAsync(new SignInFilter(client.Id), 100);
        Assert.Equal(10, all.Count);
        Assert.Equal(all.Select(one => one.Entry.Id).OrderDescending(), all.Select(one => one.Entry.Id));

        var paged = new List<Guid>();
        while (await statistics.ReadSignInsAsync(new SignInFilter(client.Id, After: paged.Count == 0 ? null : paged[^1]), 3) is { Count: > 0 } page)
        {
            paged.AddRange(page.Select(one => one.Entry.Id));
        }

        Assert.Equal(all.Select(one => one.Entry.Id), paged);
        Assert.Equal(5, (await statistics.ReadSignInsAsync(new SignInFilter(client.Id, Reached: SignInReached.Refused), 100)).Count);
        Assert.Equal(5, (await statistics.ReadSignInsAsync(new SignInFilter(client.Id, Reached: SignInReached.CodeDelivered), 100)).Count);
        Assert.Equal("user_list_3", Assert.Single(await statistics.ReadSignInsAsync(new SignInFilter(Subject: "user_list_3"), 100)).Entry.Subject);
        Assert.Equal(4, (await statistics.ReadSignInsAsync(new SignInFilter(client.Id, From: all[3].Entry.At), 100)).Count);
        Assert.Equal(6, (await statistics.ReadSignInsAsync(new SignInFilter(client.Id, To: all[3].Entry.At), 100)).Count);
    }

    private static (string State, string Sentence) Told((SignInEntry Entry, SignInStory Story) one) => (one.Story.State.ToString(), one.Story.Sentence);

    /// <summary>The newest of a client; of anybody when null.</summary>
    private async Task<(SignInEntry Entry, SignInStory Story)> ReadAsync(TestClient? client)
    {
        await app.Get<StatisticsWriter>().WriteAsync(false);
        return (await app.Get<StatisticsService>().ReadSignInsAsync(new SignInFilter(client?.Id), 1))[0];
    }
}
