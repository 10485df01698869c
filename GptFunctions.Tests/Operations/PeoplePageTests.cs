using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>Two processes beside the one on which operators work.</summary>
public sealed class OperatedReplicas : OperationsFixture<PeoplePageTests>, IAsyncLifetime
{
    private AppProcess[] processes = [];

    internal IReadOnlyList<OAuthFlow> Replicas { get; private set; } = [];

    async Task IAsyncLifetime.InitializeAsync()
    {
        await InitializeAsync();
        processes = await Task.WhenAll(AppProcess.StartAsync(App.Settings), AppProcess.StartAsync(App.Settings));
        Replicas = [.. processes.Select(process => new OAuthFlow(process.Http))];
    }

    async Task IAsyncLifetime.DisposeAsync()
    {
        foreach (var process in processes)
        {
            await process.DisposeAsync();
        }

        await DisposeAsync();
    }
}

/// <summary>operations.md 8 and 9: whom a page finds, what it says of them, and the end of what they have connected, in all processes at once.</summary>
public sealed partial class PeoplePageTests(OperatedReplicas fixture) : IClassFixture<OperatedReplicas>
{
    private const string Page = "/operations/people";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task End_of_one_session_is_refused_everywhere_and_told_once()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (stolen, kept) = (await flow.TokensAsync(client, "user_stolen"), await flow.TokensAsync(client, "user_stolen"));
        await UsableAsync(stolen, kept);
        var session = AccessTokenText.SessionId(stolen["access_token"]!).ToString();
        var (browser, path) = (await OperatorAsync(), $"{Page}?user=user_stolen&confirm=end-session&session={session}");

        Assert.Contains("The session has ended: its app is refused everywhere.", await DoAsync(browser, path, "stolen laptop"), StringComparison.Ordinal);
        await RefusedAsync(client, stolen);
        await UsableAsync(kept);
        Assert.Equal(["session_ended | user_operator | stolen laptop"], await fixture.ActsOnAsync(session));
        Assert.Equal(["session_ended | user_operator | stolen laptop"], await fixture.ActsOnAsync("user_stolen"));

        Assert.Contains("that session had ended before", await DoAsync(browser, path, "again"), StringComparison.Ordinal);
        Assert.Single(await fixture.ActsOnAsync(session));
    }

    /// <summary>Its form was made up, or is of a page that somebody changed: two ids that do not belong together end nothing.</summary>
    [Fact]
    public async Task End_of_a_session_of_somebody_else_changes_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (named, other) = (await flow.TokensAsync(client, "user_named"), await flow.TokensAsync(client, "user_other"));
        var session = AccessTokenText.SessionId(other["access_token"]!).ToString();
        using var refused = await OperationsFixture<PeoplePageTests>.DoAsync(
            await OperatorAsync(), $"{Page}?user=user_named&confirm=end-session&session={session}", ("reason", "stolen laptop"));
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        var text = OperationsFixture<PeoplePageTests>.TextOf(await refused.Content.ReadAsStringAsync());
        Assert.Contains($"Nothing was changed Session {session} is not one of user_named.", text, StringComparison.Ordinal);
        await UsableAsync(named, other);
        Assert.Empty(await fixture.ActsOnAsync("user_other"));
        Assert.Empty(await fixture.ActsOnAsync("user_named"));
    }

    /// <summary>Somebody left the company: from the address in the mail to the end of everything, by page.</summary>
    [Fact]
    public async Task Person_who_left_is_found_by_mail_and_everything_ends_everywhere()
    {
        var (client, other) = (await OAuthFlow.AddClientAsync(app), await OAuthFlow.AddClientAsync(app));
        var (one, two, stays) = (
            await flow.TokensAsync(client, "user_left"), await flow.TokensAsync(other, "user_left"), await flow.TokensAsync(client, "user_stays"));
        await app.Database.ExecuteAsync("UPDATE users SET email = 'Ann.Left@example.com' WHERE clerk_user_id = 'user_left'");
        var code = await flow.CodeAsync(client, "user_left");
        await UsableAsync(one, two, stays);

        var (watch, browser) = (Stopwatch.StartNew(), await OperatorAsync());
        using var found = await browser.GetAsync(Page + "?q=ann.left%40example.com");
        var person = await found.Content.ReadAsStringAsync();
        Assert.Equal(Page + "?user=user_left", found.RequestMessage!.RequestUri!.PathAndQuery);
        var ask = WebUtility.HtmlDecode(EndAllLink().Match(person).Groups["url"].Value);
        var done = await DoAsync(browser, ask, "left the company");
        await RefusedAsync(client, one);
        await RefusedAsync(other, two);
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, code)).Error);
        Assert.Equal(["user_sessions_ended | user_operator | left the company"], await fixture.ActsOnAsync("user_left"));
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromMinutes(1));

        Assert.Contains("2 sessions have ended, and every consent is taken back", done, StringComparison.Ordinal);
        Assert.Contains("No app is connected.", done, StringComparison.Ordinal);
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents JOIN users ON users.id = user_id", "clerk_user_id = 'user_left' AND revoked_at IS NULL"));
        Assert.Equal(1, await app.Database.CountAsync("gpt_oauth_events", "event_type = 'gpt.oauth.all_sessions_revoked' AND clerk_user_id = 'user_left'"));
        await UsableAsync(stays);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(" ")]
    [InlineData("two\nlines")]
    [InlineData("turned \u202E round")]
    [InlineData("201")]
    public async Task End_without_a_reason_in_one_line_changes_nothing_and_asks_again_with_what_was_typed(string? reason)
    {
        var tokens = await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_reason");
        var (browser, text) = (await OperatorAsync(), reason == "201" ? new string('x', 201) : reason);
        foreach (var what in (string[])["end-all", $"end-session&session={AccessTokenText.SessionId(tokens["access_token"]!)}"])
        {
            using var refused = await OperationsFixture<PeoplePageTests>.DoAsync(browser, $"{Page}?user=user_reason&confirm={what}", ("reason", text));
            var html = await refused.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Matches("<p class=\"problem\" id=\"reason-problem\" role=\"alert\">Nothing was changed. The reason [^<]+</p>", html);
            Assert.Contains("aria-describedby=\"reason-help reason-problem\" aria-invalid=\"true\"", html, StringComparison.Ordinal);
            var (path, fields) = OperationsFixture<PeoplePageTests>.ActionForm(html);
            Assert.Equal(text ?? "", WebUtility.HtmlDecode(Typed().Match(html).Groups["text"].Value));
            Assert.Contains(("user", "user_reason"), fields);
            Assert.EndsWith("/" + what.Split('&')[0], path, StringComparison.Ordinal);
        }

        await UsableAsync(tokens);
        Assert.Empty(await fixture.ActsOnAsync("user_reason"));
    }

    /// <summary>The form that is shown again is the form: with a reason it does what was asked.</summary>
    [Fact]
    public async Task Form_that_is_asked_again_works_with_a_reason()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_asked_again");
        var browser = await OperatorAsync();
        using var refused = await OperationsFixture<PeoplePageTests>.DoAsync(browser, $"{Page}?user=user_asked_again&confirm=end-all", ("reason", " "));
        var (path, fields) = OperationsFixture<PeoplePageTests>.ActionForm(await refused.Content.ReadAsStringAsync());
        using var done = await browser.PostAsync(path, [.. fields, ("reason", "left")]);
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
        Assert.Equal(["user_sessions_ended | user_operator | left"], await fixture.ActsOnAsync("user_asked_again"));
        await RefusedAsync(client, tokens);
    }

    [Fact]
    public async Task End_of_nobody_or_of_no_session_is_a_sentence()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_forms");
        var browser = await OperatorAsync();
        var fields = await FieldsAsync(browser, $"{Page}?user=user_forms&confirm=end-all");
        using var nobody = await browser.PostAsync(Page + "/end-all", [fields, ("user", "user_nobody"), ("reason", "why")]);
        Assert.Equal(HttpStatusCode.NotFound, nobody.StatusCode);
        Assert.Contains("Nobody has this user id.", await nobody.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        fields = await FieldsAsync(browser, $"{Page}?user=user_forms&confirm=end-session&session=x");
        using var none = await browser.PostAsync(Page + "/end-session", [fields, ("user", "user_forms"), ("session", "x"), ("reason", "why")]);
        Assert.Equal(HttpStatusCode.BadRequest, none.StatusCode);
        Assert.Empty(await fixture.ActsOnAsync("user_nobody"));
    }

    [Fact]
    public async Task Page_shows_all_that_is_known_of_a_person()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Career Coach");
        var tokens = await flow.TokensAsync(client, "user_known");
        await app.Database.ExecuteAsync("""
            UPDATE users
            SET email = 'known@example.com', name = 'Kim Known', plan = 'pro', plan_status = 'active', stripe_customer_id = 'cus_known'
            WHERE clerk_user_id = 'user_known';
            INSERT INTO verification_sessions (order_id, customer_email, status, deadline, created_at)
            VALUES ('order-known', 'Known@Example.com', 'pending_verification', now(), now());
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, received_at, processed_at, error, payload)
            VALUES ('clerk', 'evt_clerk', 'user.updated', 'user_known', 'completed', 1, now(), now(), NULL, NULL),
                   ('orders', 'evt_order', 'order.created', 'order-known', 'failed', 3, now(), now(), 'the shop sent no address', '{}'),
                   ('clerk', 'evt_other', 'user.updated', 'user_else', 'completed', 1, now(), now(), NULL, NULL);
            """);
        await fixture.ActsOnAsync("user_known"); // so that the trail has the events of the sign-in

        foreach (var viewer in (string[])[OperationsFixture<PeoplePageTests>.Operator, OperationsFixture<PeoplePageTests>.Viewer])
        {
            var html = await OperationsFixture<PeoplePageTests>.ReadAsync(await fixture.SignInAsync(viewer), Page + "?user=user_known");
            var text = OperationsFixture<PeoplePageTests>.TextOf(html);
            foreach (var shown in (string[])
                [
                    "User id user_known", "E-mail known@example.com", "Name Kim Known", "State active", "Plan pro, active", "Stripe customer cus_known",
                    "Career Coach live", AccessTokenText.SessionId(
                        tokens["access_token"]!).ToString(), "Career Coach client.example", "order-known pending_verification",
                    "user.updated", "the shop sent no address", "gpt.oauth.token_exchanged",
                ])
            {
                Assert.Contains(shown, text, StringComparison.Ordinal);
            }

            Assert.DoesNotContain("user_else", text, StringComparison.Ordinal);
            Assert.Equal(viewer == OperationsFixture<PeoplePageTests>.Operator, html.Contains("confirm=end-all", StringComparison.Ordinal));
            Assert.Equal(viewer == OperationsFixture<PeoplePageTests>.Operator, html.Contains("confirm=end-session", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Search_finds_by_user_id_internal_id_mail_and_order_and_says_when_there_is_nobody()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO users (id, clerk_user_id, email, created_at)
            VALUES ('01900000-0000-7000-8000-0000000000aa', 'user_find', 'find@example.com', now()),
                   (gen_random_uuid(), 'user_twin_1', 'twin@example.com', now()), (gen_random_uuid(), 'user_twin_2', 'TWIN@example.com', now());
            INSERT INTO verification_sessions (order_id, customer_email, status, deadline, created_at)
            VALUES ('order-find', 'FIND@example.com', 'pending_verification', now(), now()),
                   ('order-alone', 'alone@example.com', 'pending_verification', now(), now());
            """);
        var browser = await fixture.SignInAsync(OperationsFixture<PeoplePageTests>.Viewer);
        foreach (var text in (string[])["user_find", "01900000-0000-7000-8000-0000000000aa", "FIND@EXAMPLE.COM", " find@example.com ", "order-find"])
        {
            using var found = await browser.GetAsync($"{Page}?q={Uri.EscapeDataString(text)}");
            Assert.Equal(Page + "?user=user_find", found.RequestMessage!.RequestUri!.PathAndQuery);
        }

        var twins = OperationsFixture<PeoplePageTests>.TextOf(await OperationsFixture<PeoplePageTests>.ReadAsync(browser, Page + "?q=twin%40example.com"));
        Assert.Contains("user_twin_1 twin@example.com", twins, StringComparison.Ordinal);
        Assert.Contains("user_twin_2 TWIN@example.com", twins, StringComparison.Ordinal);
        var alone = OperationsFixture<PeoplePageTests>.TextOf(await OperationsFixture<PeoplePageTests>.ReadAsync(browser, Page + "?q=order-alone"));
        Assert.Contains("Nobody is known by this.", alone, StringComparison.Ordinal);
        Assert.Contains("order-alone pending_verification", alone, StringComparison.Ordinal);
        foreach (var nobody in (string[])["?q=nobody", "?q=%25", "?q=" + new string('x', 4000)])
        {
            Assert.Contains("Nobody is known by this.", await OperationsFixture<PeoplePageTests>.ReadAsync(browser, Page + nobody), StringComparison.Ordinal);
        }

        using var unknown = await browser.GetAsync(Page + "?user=user_never");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        using var broken = await browser.GetAsync(Page + "?q=%00");
        Assert.Equal(HttpStatusCode.BadRequest, broken.StatusCode);
    }

    [Fact]
    public async Task Sessions_are_paged_by_key_without_loss_or_repetition()
    {
        await flow.TokensAsync(await OAuthFlow.AddClientAsync(app), "user_many");
        await app.Database.ExecuteAsync("""
            INSERT INTO gpt_sessions (id, client_id, user_id, scopes, granted_scopes, resource, created_at, last_active, expires_at)
            SELECT gen_random_uuid(), client_id, user_id, scopes, granted_scopes, resource, now(), now(), now() + interval '1 day'
            FROM gpt_sessions CROSS JOIN generate_series(1, 119)
            WHERE user_id = (SELECT id FROM users WHERE clerk_user_id = 'user_many')
            """);
        var seen = await OperationsFixture<PeoplePageTests>.WalkAsync(await OperatorAsync(), Page + "?user=user_many", SessionRow());
        Assert.Equal((120, 120), (seen.Count, seen.Distinct().Count()));
    }

    private Task<TestBrowser> OperatorAsync() => fixture.SignInAsync(OperationsFixture<PeoplePageTests>.Operator);

    private static async Task<(string, string?)> FieldsAsync(TestBrowser browser, string path) =>
        OperationsFixture<PeoplePageTests>.ActionForm(
            await OperationsFixture<PeoplePageTests>.ReadAsync(browser, path)).Fields.First(field => field.Name == "csrf");

    private static async Task<string> DoAsync(TestBrowser browser, string path, string reason)
    {
        using var done = await OperationsFixture<PeoplePageTests>.DoAsync(browser, path, ("reason", reason));
        var html = await done.Content.ReadAsStringAsync();
        Assert.True(done.StatusCode == HttpStatusCode.OK, html);
        return html;
    }

    /// <summary>Each process has looked the session up, and so may have kept it.</summary>
    private async Task UsableAsync(params JsonAnswer[] tokens)
    {
        foreach (var (replica, answer) in fixture.Replicas.SelectMany(_ => tokens, (replica, answer) => (replica, answer)))
        {
            Assert.Equal(HttpStatusCode.OK, (await UsageAsync(replica, answer)).Status);
        }
    }

    private async Task RefusedAsync(TestClient client, JsonAnswer tokens)
    {
        foreach (var replica in fixture.Replicas)
        {
            await Wait.UntilAsync(async () => (await UsageAsync(replica, tokens)).Status == HttpStatusCode.Unauthorized);
            Assert.Equal("invalid_grant", (await replica.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        }
    }

    private static async Task<JsonAnswer> UsageAsync(OAuthFlow replica, JsonAnswer tokens)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/gpt/usage", UriKind.Relative));
        request.Headers.Authorization = new("Bearer", tokens["access_token"]);
        return await replica.SendAsync(request);
    }

    [GeneratedRegex("href=\"(?<url>[^\"]*confirm=end-all[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex EndAllLink();

    [GeneratedRegex("name=\"reason\" value=\"(?<text>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex Typed();

    [GeneratedRegex("aria-label=\"End session (?<row>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex SessionRow();
}
