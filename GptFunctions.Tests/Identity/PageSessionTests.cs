using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>identity.md 12 to 16: who is signed in to our pages, for how long, and by which cookie.</summary>
public sealed class PageSessionTests(AppFixture<PageSessionTests> fixture) : IClassFixture<AppFixture<PageSessionTests>>
{
    private const string Home = "/connections";
    private const string Cookie = "gpt-page";
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData(null, "^gpt-page=[A-Za-z0-9_-]{43}; max-age=28800; path=/; samesite=lax; httponly$")]
    [InlineData("https://gpt.example", "^__Host-gpt-page=[A-Za-z0-9_-]{43}; max-age=28800; path=/; secure; samesite=lax; httponly$")]
    public async Task Sign_in_sets_the_cookie_that_fits_the_scheme_and_leads_back(string? issuer, string expected)
    {
        await using var own = issuer is null ? null : await app.StartReplicaAsync(("PUBLIC_BASE_URL", issuer));
        var browser = new TestBrowser((own ?? app).Http);
        using var form = await browser.GetAsync(Home + "?page=2");
        var fields = TestBrowser.HiddenFields(await form.Content.ReadAsStringAsync());
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/dev/sign-in", UriKind.Relative))
        {
            Content = new FormUrlEncodedContent([.. fields.Append(("user_id", "user_cookie")).Select(field => KeyValuePair.Create(field.Item1, field.Item2))]),
        };

        using var response = await browser.SendAsync(request);

        Assert.Equal((HttpStatusCode.SeeOther, Home + "?page=2"), (response.StatusCode, response.Headers.Location?.OriginalString));
        Assert.Matches(expected, Assert.Single(response.Headers.GetValues("Set-Cookie")));
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
    }

    /// <summary>What is in the database opens nothing.</summary>
    [Fact]
    public async Task Session_is_kept_by_the_hash_of_its_cookie()
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_hashed");
        var hash = SHA256.HashData(Base64Url.DecodeFromChars(browser.Cookies[Cookie]));

        var row = await app.Database.ScalarAsync<string>($"SELECT row_to_json(s)::text FROM page_sessions s WHERE {Of("user_hashed")}");

        Assert.Contains(Convert.ToHexStringLower(hash), row, StringComparison.Ordinal);
        Assert.DoesNotContain(browser.Cookies[Cookie], row, StringComparison.Ordinal);
        Assert.Equal(
            Home,
            Assert.Single(await app.Database.EventsAsync(AuditEvents.SignedIn, "clerk_user_id", "user_hashed"))
                .GetProperty("payload").GetProperty("page").GetString());
    }

    [Fact]
    public async Task Session_ends_30_minutes_after_its_last_page()
    {
        await using var own = await app.StartReplicaAsync(); // whose clock is nobody else's
        var browser = await TestBrowser.SignedInAsync(own.Http, "user_idle");
        for (var visit = 0; visit < 3; visit++)
        {
            own.Clock.Advance(TimeSpan.FromMinutes(29.5));
            Assert.True(await IsSignedInAsync(browser));
        }

        own.Clock.Advance(TimeSpan.FromMinutes(30));
        Assert.False(await IsSignedInAsync(browser));
    }

    [Fact]
    public async Task Session_ends_after_8_hours_however_often_it_is_used()
    {
        await using var own = await app.StartReplicaAsync();
        var browser = await TestBrowser.SignedInAsync(own.Http, "user_all_day");
        for (var visit = 1; visit < 24; visit++)
        {
            own.Clock.Advance(TimeSpan.FromMinutes(20));
            Assert.True(await IsSignedInAsync(browser), $"after {visit * 20} minutes");
        }

        own.Clock.Advance(TimeSpan.FromMinutes(20));
        Assert.False(await IsSignedInAsync(browser));
    }

    [Fact]
    public async Task Session_counts_in_every_replica()
    {
        await using var other = await app.StartReplicaAsync();
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_replicas");

        Assert.True(await IsSignedInAsync(browser.At(other.Http)));
        using var page = await browser.GetAsync(Home);
        using var signedOut = await browser.At(other.Http).SubmitToAsync(page, PageSessions.SignOutPath);
        Assert.False(await IsSignedInAsync(browser));
    }

    /// <summary>Whoever put a cookie into the browser before somebody signed in is not signed in with it afterwards.</summary>
    [Fact]
    public async Task Cookie_from_before_the_sign_in_is_replaced_and_opens_nothing()
    {
        var planted = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var attacker = await TestBrowser.SignedInAsync(app.Http, "user_attacker");
        foreach (var cookie in (string[])[planted, attacker.Cookies[Cookie]])
        {
            var victim = new TestBrowser(app.Http);
            using var form = await victim.GetAsync(Home);
            victim.Plant(Cookie, cookie);
            using var page = await victim.SubmitAsync(form, ("user_id", "user_victim"));
            Assert.NotEqual(cookie, victim.Cookies[Cookie]);
            Assert.Contains("user_victim", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);

            var holder = new TestBrowser(app.Http);
            holder.Plant(Cookie, cookie);
            Assert.False(await IsSignedInAsync(holder));
        }
    }

    /// <summary>Two tabs that both had to sign in: the cookie is a new one, and the forms of the first tab go on to count.</summary>
    [Fact]
    public async Task Second_tab_that_signs_in_leaves_the_forms_of_the_first_one_good()
    {
        var browser = new TestBrowser(app.Http);
        using var firstForm = await browser.GetAsync(Home);
        using var secondForm = await browser.GetAsync(Home);
        using var first = await browser.SubmitAsync(firstForm, ("user_id", "user_tabs"));
        var before = browser.Cookies[Cookie];
        using var second = await browser.SubmitAsync(secondForm, ("user_id", "user_tabs"));

        Assert.NotEqual(before, browser.Cookies[Cookie]);
        Assert.Equal(1, await app.Database.CountAsync("page_sessions", Of("user_tabs")));
        using var signedOut = await browser.SubmitToAsync(first, PageSessions.SignOutPath);
        Assert.Contains("You are signed out", await signedOut.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Form_of_the_person_before_is_out_of_date_when_somebody_else_has_signed_in()
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_before");
        using var old = await browser.GetAsync(Home);
        var other = new TestBrowser(app.Http);
        using var form = await other.GetAsync(Home);
        other.Plant(Cookie, browser.Cookies[Cookie]);
        using var page = await other.SubmitAsync(form, ("user_id", "user_after"));

        using var response = await other.SubmitToAsync(old, PageSessions.SignOutPath);

        await AssertHelpsAsync(response, "This page is out of date");
        Assert.True(await IsSignedInAsync(other));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("garbage")]
    [InlineData("other")]
    [InlineData("purpose")]
    public async Task Sign_out_without_the_token_of_the_form_is_403(string? kind)
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_csrf");
        var other = await TestBrowser.SignedInAsync(app.Http, "user_csrf_other");
        using var foreign = await other.GetAsync(Home);
        var csrf = kind switch
        {
            "other" => TestBrowser.FieldsOf(await foreign.Content.ReadAsStringAsync(), PageSessions.SignOutPath)[0].Value,
            "purpose" => new PageSession(default, new Person("user_csrf", null, null), await FormKeyAsync("user_csrf")).Csrf("disconnect all"),
            _ => kind,
        };

        using var response = await browser.PostAsync(PageSessions.SignOutPath, ("csrf", csrf));

        await AssertHelpsAsync(response, "This page is out of date");
        Assert.True(await IsSignedInAsync(browser));
    }

    [Fact]
    public async Task Sign_out_ends_the_session_and_takes_the_cookie()
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_out");
        var elsewhere = await TestBrowser.SignedInAsync(app.Http, "user_out");
        var copy = browser.At(app.Http);
        using var page = await browser.GetAsync(Home);
        var fields = TestBrowser.FieldsOf(await page.Content.ReadAsStringAsync(), PageSessions.SignOutPath);

        using var response = await browser.PostAsync(PageSessions.SignOutPath, fields);
        var html = await response.Content.ReadAsStringAsync();
        using var again = await copy.PostAsync(PageSessions.SignOutPath, fields);

        Assert.Contains("You are signed out", html, StringComparison.Ordinal);
        Assert.Equal("", browser.Cookies[Cookie]);
        Assert.False(await IsSignedInAsync(copy));
        Assert.True(await IsSignedInAsync(elsewhere));
        Assert.Contains("You are signed out", await again.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Single(await app.Database.EventsAsync(AuditEvents.SignedOut, "clerk_user_id", "user_out"));
    }

    [Theory]
    [InlineData("deleted_at = now()", "deleted_at = NULL")]
    [InlineData("banned = true, blocked_at = now()", "banned = false, blocked_at = NULL")]
    [InlineData("locked_until = 'infinity', blocked_at = now()", "locked_until = NULL, blocked_at = NULL")]
    public async Task Session_of_a_person_who_may_not_act_is_over_at_once_and_for_good(string change, string undo)
    {
        var user = "user_out_" + $"{change}".Split('_', ' ')[0];
        var browser = await TestBrowser.SignedInAsync(app.Http, user);
        await app.Database.ExecuteAsync($"UPDATE users SET {change} WHERE clerk_user_id = '{user}'");

        using var form = await browser.GetAsync(Home);
        using var refused = await browser.SubmitAsync(form, ("user_id", user));
        await AssertHelpsAsync(refused, "This account was deleted or is blocked");
        Assert.Equal(0, await app.Database.CountAsync("page_sessions", Of(user)));

        await app.Database.ExecuteAsync($"UPDATE users SET {undo} WHERE clerk_user_id = '{user}'");
        Assert.False(await IsSignedInAsync(browser));
    }

    /// <summary>What is read of the person is read with the session, so no statement of a webhook can come in between.</summary>
    [Fact]
    public async Task Session_of_a_blocked_person_counts_for_nothing_even_where_its_row_is_left()
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_left_over");
        await app.Database.ExecuteAsync("""
            ALTER TABLE users DISABLE TRIGGER end_page_sessions;
            UPDATE users SET banned = true, blocked_at = now() WHERE clerk_user_id = 'user_left_over';
            ALTER TABLE users ENABLE TRIGGER end_page_sessions
            """);

        Assert.False(await IsSignedInAsync(browser));
    }

    [Fact]
    public async Task Operator_who_ends_everything_of_a_person_signs_them_out_of_pages_and_the_persons_own_button_does_not()
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_thrown_out");
        var other = await TestBrowser.SignedInAsync(app.Http, "user_stays_in");
        var (sessions, occasion) = (app.Get<SessionService>(), Occasion.OfCommand(app.Clock.GetUtcNow(), "test"));

        await sessions.EndAllAsync(new SessionOwner("user_thrown_out", "some-client"), new OperatorAct("user_operator", "test"), occasion);
        Assert.True(await IsSignedInAsync(browser));
        await sessions.EndAllAsync("user_stays_in", "user", occasion);
        await sessions.EndAllAsync(new SessionOwner("user_thrown_out", null), new OperatorAct("user_operator", "test"), occasion);
        Assert.False(await IsSignedInAsync(browser));
        Assert.True(await IsSignedInAsync(other));
    }

    [Fact]
    public async Task Head_begins_no_sign_in()
    {
        using var response = await app.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, new Uri(Home, UriKind.Relative)));

        Assert.Equal((HttpStatusCode.OK, false), (response.StatusCode, response.Headers.Contains("Set-Cookie")));
    }

    /// <summary>Nothing is redirected: the form would be lost, and form-action forbids where the sign-in is.</summary>
    [Fact]
    public async Task Form_of_a_session_that_is_over_is_answered_with_a_page()
    {
        await using var own = await app.StartReplicaAsync();
        var browser = await TestBrowser.SignedInAsync(own.Http, "user_over");
        own.Clock.Advance(TimeSpan.FromMinutes(31));
        using var response = await browser.PostAsync("/connections/disconnect-all", ("csrf", "x"));

        await AssertHelpsAsync(response, "You are not signed in any more");
    }

    [Fact]
    public async Task Sign_ins_beyond_the_limit_of_an_address_are_429_with_a_page()
    {
        await using var own = await TestApp.StartAsync("page_sign_in_limit", new() { ["GPT_AUTHORIZE_LIMIT"] = "2" });
        var browser = new TestBrowser(own.Http);
        using var first = await browser.GetAsync(Home);
        using var second = await browser.GetAsync(Home);

        using var third = await browser.GetAsync(Home);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests), (second.StatusCode, third.StatusCode));
        Assert.NotNull(third.Headers.RetryAfter);
        Assert.Contains("href=\"/connections\"", await third.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static string Of(string user) => $"user_id = (SELECT id FROM users WHERE clerk_user_id = '{user}')";

    private static async Task<bool> IsSignedInAsync(TestBrowser browser)
    {
        using var page = await browser.GetAsync(Home);
        return page.RequestMessage!.RequestUri!.AbsolutePath == Home;
    }

    private async Task<byte[]> FormKeyAsync(string user) =>
        (await app.Database.ScalarAsync<byte[]>($"SELECT form_key FROM page_sessions WHERE {Of(user)} ORDER BY created_at DESC LIMIT 1"))!;

    /// <summary>403, says why, and leads on.</summary>
    internal static async Task AssertHelpsAsync(HttpResponseMessage response, string title)
    {
        var html = await response.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains($"<h1>{title}</h1>", html, StringComparison.Ordinal);
        Assert.Contains("href=\"/connections\"", html, StringComparison.Ordinal);
    }
}
