using System.Net;
using GptFunctions.OAuth;
using GptFunctions.Statistics;
using GptFunctions.Tests.OAuth;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Http;

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

    /// <summary>"Not you?": the first sign-in is over, and the second one is a row of its own.</summary>
    [Fact]
    public async Task Choice_of_another_account_is_told()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var first = await browser.SignInAsync("user_not_me", OAuthFlow.Parameters(client));
        using var signIn = await browser.GetAsync(await NotYouTests.LinkAsync(first));
        using var second = await browser.SubmitAsync(signIn, ("user_id", "user_me"));
        await app.Get<StatisticsWriter>().WriteAsync(false);
        var told = await app.Get<StatisticsService>().ReadSignInsAsync(new SignInFilter(client.Id), 10);
        Assert.Equal(
            [("user_me", "UnderWay", "The consent page is open."), (
                "user_not_me", "Stopped", "Another account was chosen (\"Not you?\" on the consent page).")],
            told.Select(one => (one.Entry.Subject!, one.Story.State.ToString(), one.Story.Sentence)));
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
    public async Task Exchange_without_scopes_without_an_account_or_without_room_is_told()
    {
        await using var strict = await ReplicaAsync(("GPT_MAX_SESSIONS_IN_ALL", "1"));
        var (client, other, at) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app), new OAuthFlow(strict.Http));
        var (slow, fast) = (await at.CodeAsync(client, "user_race"), await at.CodeAsync(other, "user_race"));
        Assert.Equal(HttpStatusCode.OK, (await at.ExchangeAsync(other, fast)).Status);
        Assert.Equal("invalid_grant", (await at.ExchangeAsync(client, slow)).Error);
        await strict.Get<StatisticsWriter>().WriteAsync(false);
        Assert.Equal(
            ("Stopped", "The code was delivered, and its exchange refused: the person has as many connected apps as allowed."), Told(await ReadAsync(client)));

        var withdrawn = await OAuthFlow.AddClientAsync(app, scopes: ["jobs:read"]);
        var code = await flow.CodeAsync(withdrawn, "user_withdrawn");
        Assert.Null(await app.Get<ClientService>().UpdateAsync(withdrawn.Id, new ClientChange(Scopes: ["resume:read"])));
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(withdrawn, code)).Error);
        Assert.Equal(
            ("Stopped", "The code was delivered, and its exchange refused: the app may have none of the scopes any more."), Told(await ReadAsync(withdrawn)));

        var closed = await OAuthFlow.AddClientAsync(app);
        var late = await flow.CodeAsync(closed, "user_closed_late");
        await app.Database.ExecuteAsync("UPDATE users SET deleted_at = now() WHERE clerk_user_id = 'user_closed_late'");
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(closed, late)).Error);
        Assert.Equal(
            ("Stopped", "The code was delivered, and its exchange refused: the account was deleted or is blocked."), Told(await ReadAsync(closed)));
    }

    [Fact]
    public async Task Too_many_sign_ins_from_one_network_are_told()
    {
        await using var strict = await ReplicaAsync(("GPT_AUTHORIZE_LIMIT", "1"), ("CLIENT_ADDRESS_HEADER", null));
        var client = await OAuthFlow.AddClientAsync(app);
        foreach (var expected in (HttpStatusCode[])[HttpStatusCode.Redirect, HttpStatusCode.TooManyRequests])
        {
            using var page = await new OAuthFlow(strict.Http).AuthorizeAsync(OAuthFlow.Parameters(client));
            Assert.Equal(expected, page.StatusCode);
        }

        await strict.Get<StatisticsWriter>().WriteAsync(false);
        var (entry, story) = await ReadAsync(null);
        Assert.Equal((SignInReached.Refused, "Too many sign-ins were begun from one network."), (entry.Reached, story.Sentence));
    }

    /// <summary>An app whose id is the URL of its document: the site is away, the document is none of it, or leads nowhere.</summary>
    [Theory]
    [InlineData(503, "", "The app's client metadata document cannot be read right now.")]
    [InlineData(404, "", "The app's client metadata document cannot be used.")]
    [InlineData(200, "not json", "The app's client metadata document cannot be used.")]
    [InlineData(200, "{\"client_id\":\"https://elsewhere.example/client.json\"}", "The app's client metadata document cannot be used.")]
    public async Task Document_of_an_app_that_cannot_be_used_is_told(int status, string body, string sentence)
    {
        await using var maker = await DocumentHost.StartAsync();
        maker.Answer = context =>
        {
            context.Response.StatusCode = status;
            return context.Response.WriteAsync(body);
        };
        await using var open = await ReplicaAsync(("GPT_CLIENT_METADATA_LOOPBACK", "true"));
        using var page = await new OAuthFlow(open.Http).AuthorizeAsync(
            OAuthFlow.Parameters(new TestClient(maker.Url + "/client.json", null, "https://maker.example/cb")));
        Assert.InRange((int)page.StatusCode, 400, 503);
        await open.Get<StatisticsWriter>().WriteAsync(false);
        var (entry, story) = await ReadAsync(null);
        Assert.Equal((SignInReached.Refused, SignInState.Stopped, sentence), (entry.Reached, story.State, story.Sentence));
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

    /// <summary>With the same time as the app's, so that what it writes is the newest.</summary>
    private async Task<TestApp> ReplicaAsync(params (string Name, string? Value)[] settings)
    {
        app.Clock.Advance(TimeSpan.FromSeconds(2));
        var replica = await app.StartReplicaAsync(settings);
        replica.Clock.Advance(app.Clock.GetUtcNow() - replica.Clock.GetUtcNow());
        return replica;
    }

    private static (string State, string Sentence) Told((SignInEntry Entry, SignInStory Story) one) => (one.Story.State.ToString(), one.Story.Sentence);

    /// <summary>The newest of a client; of anybody when null.</summary>
    private async Task<(SignInEntry Entry, SignInStory Story)> ReadAsync(TestClient? client)
    {
        await app.Get<StatisticsWriter>().WriteAsync(false);
        return (await app.Get<StatisticsService>().ReadSignInsAsync(new SignInFilter(client?.Id), 1))[0];
    }
}
