using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Connections;

/// <summary>connections.md 1, 2, 6 and 7: what people see of their apps, and how they take back what they allowed.</summary>
public sealed partial class ConnectionsTests(AppFixture<ConnectionsTests> fixture) : IClassFixture<AppFixture<ConnectionsTests>>
{
    private const string Home = "/connections";
    private const string Disconnect = "/connections/disconnect";
    private const string DisconnectAll = "/connections/disconnect-all";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Card_says_whose_app_it_is_what_it_may_do_and_how_it_is_used()
    {
        await AddAsync("user_card", "Career Coach", "coach", sessions: 3);
        await app.Database.ExecuteAsync("""
            INSERT INTO client_usage (client_id, user_id, day, calls, last_call_at)
            SELECT 'coach', id, (now() AT TIME ZONE 'UTC')::date - days, 617, now() - interval '1 day' FROM users, unnest(ARRAY[0, 29, 30]) days
            WHERE clerk_user_id = 'user_card'
            """);

        var text = await TextAsync("user_card");

        Assert.Contains(
            "Career Coach chatgpt.com Checked by us. Search job offers and read their details Send job applications in your name Connected since", text,
            StringComparison.Ordinal);
        Assert.Contains("In 30 days 1,234 requests Connected from 3 places Disconnect", text, StringComparison.Ordinal);
        Assert.Contains("Signed in as user_card@example.com", text, StringComparison.Ordinal);
        Assert.Matches(@"Last used \d+ \w+ \d{4}, \d\d:\d\d UTC", text);
    }

    [Fact]
    public async Task Card_of_an_app_that_nobody_checked_says_so_with_where_it_comes_from()
    {
        await AddAsync(
            "user_unchecked", "Some Code", "https://apps.example:8443/metadata", "metadata_document", host: "127.0.0.1:50001",
            redirectUri: "http://127.0.0.1/callback");
        await AddAsync("user_unchecked", "Cursor", kind: "registered", host: "cursor:", redirectUri: "cursor://anysphere.cursor-mcp/oauth/callback");

        var text = await TextAsync("user_unchecked");

        Assert.Contains("Some Code An app on your device, apps.example:8443 Nobody has checked this app.", text, StringComparison.Ordinal);
        Assert.Contains("Cursor An app on your device, cursor: Nobody has checked this app.", text, StringComparison.Ordinal);
        Assert.DoesNotContain("50001", text, StringComparison.Ordinal);
    }

    /// <summary>It could connect again without being asked for: that can be taken back, too. An app that is asked for each time could not.</summary>
    [Fact]
    public async Task App_without_a_session_is_shown_when_its_consent_still_counts()
    {
        await AddAsync("user_consents", "Remembered", sessions: 0);
        await AddAsync("user_consents", "Asked Each Time", kind: "registered", sessions: 0);
        await AddAsync("user_consents", "Off", "off", sessions: 0);
        await AddAsync("user_consents", "Off But Connected", "off-connected");
        await app.Database.ExecuteAsync("UPDATE gpt_clients SET disabled_at = now() WHERE client_id LIKE 'off%'");

        var text = await TextAsync("user_consents");

        Assert.Contains("Remembered chatgpt.com Checked by us. Search job offers", text, StringComparison.Ordinal);
        Assert.Contains("nowhere right now; it could connect again without asking you", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Asked Each Time", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Off chatgpt.com", text, StringComparison.Ordinal);
        Assert.Contains("Off But Connected chatgpt.com Checked by us. This app has been switched off here", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Disconnect_asks_once_and_ends_sessions_consent_and_codes_with_one_event()
    {
        var (client, other) = (await OAuthFlow.AddClientAsync(app, name: "Ends"), await OAuthFlow.AddClientAsync(app, name: "Stays"));
        var tokens = new[] { await flow.TokensAsync(client, "user_ends"), await flow.TokensAsync(client, "user_ends") };
        var (stays, others) = (await flow.TokensAsync(other, "user_ends"), await flow.TokensAsync(client, "user_keeps"));
        var code = await flow.CodeAsync(client, "user_ends");
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_ends");

        using var question = await browser.GetAsync($"{Disconnect}?client={client.Id}");
        var asked = Text(await question.Content.ReadAsStringAsync());
        Assert.Equal(0, await app.Database.CountAsync("gpt_sessions", $"client_id = '{client.Id}' AND revoked_at IS NOT NULL")); // only asked
        using var done = await browser.SubmitToAsync(question, Disconnect);

        Assert.Contains("Disconnect Ends?", asked, StringComparison.Ordinal);
        Assert.Contains("in all 2 places", asked, StringComparison.Ordinal);
        Assert.Equal(Home + "?done=one", done.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.DoesNotContain(">Ends<", await done.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.All(await Task.WhenAll(tokens.Select(pair => flow.RefreshAsync(client, pair["refresh_token"]!))), answer =>
            Assert.Equal("invalid_grant", answer.Error));
        Assert.Equal("invalid_grant", (await flow.ExchangeAsync(client, code)).Error);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(other, stays["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, others["refresh_token"]!)).Status);
        var told = Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_ends")).GetProperty("payload");
        Assert.Equal(
            (client.Id, 2, "user"),
            (told.GetProperty("client_id").GetString(), told.GetProperty("sessions").GetInt32(), told.GetProperty("reason").GetString()));
        using var again = await new TestBrowser(app.Http).SignInAsync("user_ends", OAuthFlow.Parameters(client));
        Assert.Equal(HttpStatusCode.OK, again.StatusCode); // asked again
    }

    /// <summary>A second tab, a double click: what has happened does not happen again.</summary>
    [Fact]
    public async Task Disconnect_sent_again_changes_nothing_and_leads_to_the_list()
    {
        await AddAsync("user_again", "Once", "once");
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_again");
        using var question = await browser.GetAsync($"{Disconnect}?client=once");
        using var first = await browser.SubmitToAsync(question, Disconnect);

        using var second = await browser.SubmitToAsync(question, Disconnect);
        using var late = await browser.GetAsync($"{Disconnect}?client=once");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (first.StatusCode, second.StatusCode));
        Assert.Equal(Home, late.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_again"));
    }

    [Fact]
    public async Task Disconnect_everything_asks_once_and_ends_all_apps_and_not_the_sign_in()
    {
        await AddAsync("user_all", "One");
        await AddAsync("user_all", "Two", kind: "registered");
        await AddAsync("user_all", "Three", sessions: 0);
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_all");

        using var question = await browser.GetAsync(DisconnectAll);
        var asked = Text(await question.Content.ReadAsStringAsync());
        using var done = await browser.SubmitToAsync(question, DisconnectAll);
        var text = Text(await done.Content.ReadAsStringAsync());
        using var empty = await browser.GetAsync(DisconnectAll);

        Assert.Contains("These 3 apps lose access", asked, StringComparison.Ordinal);
        Assert.Contains("No app is connected to your account.", text, StringComparison.Ordinal);
        Assert.Contains("To connect an app, begin in the app", text, StringComparison.Ordinal);
        Assert.Equal(Home, empty.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.Equal(0, await app.Database.CountAsync("gpt_consents JOIN users ON id = user_id", "clerk_user_id = 'user_all' AND revoked_at IS NULL"));
        Assert.Single(await app.Database.EventsAsync(AuditEvents.AllSessionsRevoked, "clerk_user_id", "user_all"));
    }

    [Fact]
    public async Task Person_with_hundreds_of_sessions_and_apps_gets_a_list_in_parts()
    {
        await AddAsync("user_many", "Everywhere", sessions: 700);
        for (var number = 0; number < 60; number++)
        {
            await AddAsync("user_many", $"App {number:00}", usedDaysAgo: number + 1);
        }

        var browser = await TestBrowser.SignedInAsync(app.Http, "user_many");
        using var first = await browser.GetAsync(Home);
        using var second = await browser.GetAsync(Home + "?page=2");
        using var beyond = await browser.GetAsync(Home + "?page=99999999999");
        var (one, two) = (Text(await first.Content.ReadAsStringAsync()), Text(await second.Content.ReadAsStringAsync()));

        Assert.Contains("Connected from 700 places", one, StringComparison.Ordinal);
        Assert.Contains("App 48", one, StringComparison.Ordinal);
        Assert.DoesNotContain("App 49", one, StringComparison.Ordinal);
        Assert.Contains("More apps", one, StringComparison.Ordinal);
        Assert.Contains("App 49", two, StringComparison.Ordinal);
        Assert.Contains("App 59", two, StringComparison.Ordinal);
        Assert.DoesNotContain("More apps", two, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, beyond.StatusCode);
        using var everything = await browser.GetAsync(DisconnectAll);
        Assert.Contains("and 11 more", Text(await everything.Content.ReadAsStringAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connected_apps_leads_to_connections()
    {
        using var response = await app.Http.GetAsync(new Uri("/connected-apps", UriKind.Relative));

        Assert.Equal((HttpStatusCode.Redirect, Home), (response.StatusCode, response.Headers.Location?.OriginalString));
    }

    [Fact]
    public async Task Pages_are_in_the_language_of_the_browser()
    {
        await AddAsync("user_german", "Bewerbungshilfe", "hilfe", kind: "registered");
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_german");
        async Task<string> GermanAsync(string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative)) { Headers = { { "Accept-Language", "de-AT" } } };
            using var page = await browser.SendAsync(request);
            return Text(await page.Content.ReadAsStringAsync());
        }

        var text = await GermanAsync(Home);
        Assert.Contains("Ihre verbundenen Apps", text, StringComparison.Ordinal);
        Assert.Contains("Niemand hat diese App geprüft. Stellenangebote suchen", text, StringComparison.Ordinal);
        Assert.Contains("In 30 Tagen keine Anfragen Verbunden von 1 Ort Trennen", text, StringComparison.Ordinal);
        Assert.Contains("Bewerbungshilfe trennen?", await GermanAsync($"{Disconnect}?client=hilfe"), StringComparison.Ordinal);
        Assert.Contains("Alles trennen?", await GermanAsync(DisconnectAll), StringComparison.Ordinal);
        Assert.Contains("Sie sind abgemeldet", await GermanAsync("/connections/signed-out"), StringComparison.Ordinal);
    }

    private Task AddAsync(
        string user, string name, string? clientId = null, string kind = "public", int sessions = 1, string host = "chatgpt.com",
        string redirectUri = "https://chatgpt.com/aip/g-1/oauth/callback", int usedDaysAgo = 0) =>
        ConnectionRows.AddAsync(app.Database, user, name, clientId, kind, sessions, host, redirectUri, usedDaysAgo: usedDaysAgo);

    /// <summary>What a person reads on the list.</summary>
    private async Task<string> TextAsync(string user)
    {
        var browser = await TestBrowser.SignedInAsync(app.Http, user);
        using var page = await browser.GetAsync(Home);
        return Text(await page.Content.ReadAsStringAsync());
    }

    private static string Text(string html) =>
        string.Join(' ', WebUtility.HtmlDecode(Tag().Replace(html, " ")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            .Replace("\u2068", "", StringComparison.Ordinal).Replace("\u2069", "", StringComparison.Ordinal).ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex("<style>.*?</style>|<[^>]*>", RegexOptions.Singleline, 1000)]
    private static partial Regex Tag();
}
