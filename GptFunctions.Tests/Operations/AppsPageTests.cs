using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Connections;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 10: apps are added, vouched for, switched off and given secrets, each told with who and why and never with a secret.</summary>
public sealed partial class AppsPageTests(OperationsFixture<AppsPageTests> fixture) : IClassFixture<OperationsFixture<AppsPageTests>>
{
    private const string Page = "/operations/apps";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Add_takes_a_gpt_id_and_gives_the_settings_for_the_builder_with_a_secret_that_is_shown_once()
    {
        var browser = await OperatorAsync();
        var form = OperationsFixture<AppsPageTests>.ActionForm(await OperationsFixture<AppsPageTests>.ReadAsync(browser, Page + "?confirm=add"));
        (string, string?)[] values = [.. form.Fields, ("name", "Career Coach"), ("gpt", " g-coach "), ("reason", "asked for by sales")];
        using var added = await browser.PostAsync(form.Path, values);
        var text = OperationsFixture<AppsPageTests>.TextOf(await added.Content.ReadAsStringAsync());
        Assert.True(added.StatusCode == HttpStatusCode.OK, text);
        Assert.True(added.Headers.CacheControl!.NoStore);
        var (id, secret) = (Field(text, "Client ID"), Field(text, "Client Secret"));
        foreach (var shown in (string[])
            [
                $"Authorization URL {app.BaseUrl}/oauth/authorize", $"Token URL {app.BaseUrl}/oauth/token", "Scope jobs:read applications:read",
                $"{app.BaseUrl}/gpt/openapi.json", "Callback URL https://chatgpt.com/aip/g-coach/oauth/callback",
                "Callback URL https://chat.openai.com/aip/g-coach/oauth/callback",
            ])
        {
            Assert.Contains(shown, text, StringComparison.Ordinal);
        }

        await flow.TokensAsync(new TestClient(id, secret, "https://chatgpt.com/aip/g-coach/oauth/callback"), "user_adds");
        using var again = await browser.PostAsync(form.Path, values); // the button pressed twice
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
        Assert.Equal(["client_added | user_operator | asked for by sales"], await fixture.ActsOnAsync(id));
        await NowhereAsync(secret);
        Assert.DoesNotContain(secret, await OperationsFixture<AppsPageTests>.ReadAsync(browser, $"{Page}?app={id}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task App_shows_when_it_called_last_and_why_it_was_refused()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Refused App");
        await app.Database.ExecuteAsync(
            $"""
            INSERT INTO refusals (hour, endpoint, reason, client_id, count)
            VALUES (date_trunc('hour', now()), '/oauth/token', 'refresh_expired', '{client.Id}', 4),
                   (date_trunc('hour', now() - interval '2 days'), '/oauth/token', 'refresh_expired', '{client.Id}', 3),
                   (date_trunc('hour', now()), '/oauth/authorize', 'redirect_uri_unregistered', '{client.Id}', 2),
                   (date_trunc('hour', now() - interval '8 days'), '/oauth/token', 'code_expired', '{client.Id}', 50)
            """);
        await app.Database.ExecuteAsync(
            $"""
            INSERT INTO client_usage (client_id, user_id, day, calls, last_call_at)
            VALUES ('{client.Id}', gen_random_uuid(), current_date, 12, '2026-11-20 10:11Z')
            """);
        var browser = await OperatorAsync();

        var list = OperationsFixture<AppsPageTests>.TextOf(await OperationsFixture<AppsPageTests>.ReadAsync(browser, $"{Page}?q={client.Id}"));
        Assert.Contains("2026-11-20 10:11", list, StringComparison.Ordinal);
        Assert.Contains(" 9 ", list, StringComparison.Ordinal);
        var text = OperationsFixture<AppsPageTests>.TextOf(await OperationsFixture<AppsPageTests>.ReadAsync(browser, $"{Page}?app={client.Id}"));
        Assert.Contains("refresh_expired /oauth/token 7", text, StringComparison.Ordinal);
        Assert.Contains("redirect_uri_unregistered /oauth/authorize 2", text, StringComparison.Ordinal);
        Assert.DoesNotContain("code_expired", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'gpt-1' is not a GPT id", "gpt", "Name", "gpt-1", null)]
    [InlineData("name is empty", "name", " ", "g-1", null)]
    [InlineData("A client needs a redirect URI", "redirect_uri", "Name", "", "")]
    [InlineData("must use https", "redirect_uri", "Name", "", "http://evil.example/")]
    [InlineData("name", "name", "turned \u202E round", "g-1", null)]
    public async Task Add_of_what_could_not_work_is_refused_at_its_field_with_what_was_typed(
        string sentence, string field, string name, string? gpt, string? leadsTo)
    {
        ArgumentNullException.ThrowIfNull(name);
        var clients = await app.Database.CountAsync("gpt_clients");
        using var refused = await OperationsFixture<AppsPageTests>.DoAsync(
            await OperatorAsync(), Page + "?confirm=add", ("name", name), ("gpt", gpt), ("redirect_uri", leadsTo));
        var html = await refused.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(sentence, OperationsFixture<AppsPageTests>.TextOf(html), StringComparison.Ordinal);
        Assert.Equal(clients, await app.Database.CountAsync("gpt_clients"));
        foreach (var typed in ((string?[])[name, gpt, leadsTo]).Where(typed => !string.IsNullOrEmpty(typed)))
        {
            Assert.Contains($"value=\"{typed}\"", WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        }

        Assert.Contains($"id=\"{field}-problem\" role=\"alert\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task App_that_nobody_checked_is_approved_once()
    {
        await ConnectionRows.AddAsync(app.Database, "user_approves", "Newcomer", "newcomer", "registered");
        var browser = await OperatorAsync();
        Assert.Contains("nobody has checked it", await OperationsFixture<AppsPageTests>.ReadAsync(browser, Page + "?app=newcomer"), StringComparison.Ordinal);
        Assert.Contains("The app is approved", await DoAsync(browser, "newcomer", "approve", "known from their website"), StringComparison.Ordinal);
        var html = await OperationsFixture<AppsPageTests>.ReadAsync(browser, Page + "?app=newcomer");
        Assert.DoesNotContain("nobody has checked it", html, StringComparison.Ordinal);
        Assert.DoesNotContain("confirm=approve", html, StringComparison.Ordinal);
        Assert.Equal(["client_updated | user_operator | known from their website"], await fixture.ActsOnAsync("newcomer"));
    }

    [Fact]
    public async Task Disabled_app_is_refused_and_an_enabled_one_lives_on()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_disables");
        var browser = await OperatorAsync();
        using var silent = await OperationsFixture<AppsPageTests>.DoAsync(browser, $"{Page}?app={client.Id}&confirm=disable", ("reason", ""));
        Assert.Equal(HttpStatusCode.BadRequest, silent.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await flow.SessionsAsync(tokens["access_token"]!)).Status);

        Assert.Contains("The app is disabled", await DoAsync(browser, client.Id, "disable", "sends spam"), StringComparison.Ordinal);
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Error);
        Assert.Contains("The app is enabled again", await DoAsync(browser, client.Id, "enable", null), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, tokens["refresh_token"]!)).Status);
        Assert.Equal(
            ["client_disabled | user_operator | sends spam", "client_updated | user_operator"], (await fixture.ActsOnAsync(client.Id))[1..]);
    }

    [Fact]
    public async Task Second_secret_is_shown_once_works_beside_the_old_one_and_then_instead_of_it()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var (browser, path) = (await OperatorAsync(), $"{Page}?app={client.Id}");
        var text = OperationsFixture<AppsPageTests>.TextOf(await DoAsync(browser, client.Id, "rotate-secret", null));
        var second = client with { Secret = Field(text, "Client Secret") };
        Assert.Contains("The old secret stays valid until you retire it", text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await flow.RefreshAsync(client, (await flow.TokensAsync(second, "user_rotates"))["refresh_token"]!)).Status);
        using var third = await OperationsFixture<AppsPageTests>.DoAsync(browser, path + "&confirm=rotate-secret");
        Assert.Equal(HttpStatusCode.Conflict, third.StatusCode);

        Assert.Contains("The old secret is no longer valid.", await DoAsync(browser, client.Id, "retire-secret", "all moved"), StringComparison.Ordinal);
        Assert.Equal("invalid_client", (await flow.RefreshAsync(client, "x")).Error);
        await flow.TokensAsync(second, "user_rotates");
        Assert.Equal(
            ["client_secret_added | user_operator", "client_secret_retired | user_operator | all moved"], (await fixture.ActsOnAsync(client.Id))[1..]);
        await NowhereAsync(second.Secret!);
    }

    [Fact]
    public async Task Viewer_sees_the_app_and_no_way_to_act()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = await fixture.SignInAsync(OperationsFixture<AppsPageTests>.Viewer);
        foreach (var path in (string[])[Page, $"{Page}?app={client.Id}", $"{Page}?app={client.Id}&confirm=disable", Page + "?confirm=add"])
        {
            var html = await OperationsFixture<AppsPageTests>.ReadAsync(browser, path);
            Assert.DoesNotContain("class=\"act\"", html, StringComparison.Ordinal);
            Assert.DoesNotContain("confirm=", html, StringComparison.Ordinal);
        }

        using var unknown = await browser.GetAsync(Page + "?app=nobody");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task List_is_narrowed_by_its_link_and_paged_by_key_without_loss_or_repetition()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO gpt_clients (client_id, name, kind, auth_methods, redirect_uris, scopes, require_pkce, created_at, disabled_at)
            SELECT 'listed-' || n, 'Listed ' || n || '%', CASE WHEN n % 2 = 0 THEN 'public' ELSE 'registered' END, '{none}', '{https://a.example/}',
                   '{jobs:read}', true, date_trunc('day', now()), CASE WHEN n <= 3 THEN now() END
            FROM generate_series(1, 121) n
            """);
        var browser = await fixture.SignInAsync(OperationsFixture<AppsPageTests>.Viewer);
        foreach (var (filter, count) in ((string, int)[])
            [
                ("q=LISTED", 121), ("q=listed-7", 1), ("q=listed%207%25", 1), ("q=listed&kind=public", 60), ("q=listed&kind=registered&state=unchecked", 61),
                ("q=listed&state=disabled", 3), ("q=listed&after=nonsense", 121), ("q=listed&after=99999999999999999999.x", 121),
            ])
        {
            var seen = await OperationsFixture<AppsPageTests>.WalkAsync(browser, $"{Page}?{filter}", AppRow());
            Assert.True((count, count) == (seen.Count, seen.Distinct().Count()), $"{filter}: {seen.Count}");
        }

        Assert.Contains("No app matches.", await OperationsFixture<AppsPageTests>.ReadAsync(browser, Page + "?q=no-such-app"), StringComparison.Ordinal);
    }

    private Task<TestBrowser> OperatorAsync() => fixture.SignInAsync(OperationsFixture<AppsPageTests>.Operator);

    private static async Task<string> DoAsync(TestBrowser browser, string id, string action, string? reason)
    {
        using var done = await OperationsFixture<AppsPageTests>.DoAsync(browser, $"{Page}?app={id}&confirm={action}", ("reason", reason));
        var html = await done.Content.ReadAsStringAsync();
        Assert.True(done.StatusCode == HttpStatusCode.OK, html);
        return html;
    }

    private static string Field(string text, string name) => text.Split($" {name} ")[1].Split(' ')[0];

    /// <summary>Neither a secret nor its hash, anywhere but in the client's hashes.</summary>
    private async Task NowhereAsync(string secret)
    {
        await fixture.ActsOnAsync("nobody"); // what waits is in the trail
        Assert.DoesNotContain(app.Log.Lines, line => line.Contains(secret, StringComparison.Ordinal));
        foreach (var text in (string[])[secret, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)))])
        {
            Assert.Equal(0, await app.Database.CountAsync("gpt_oauth_events e", $"e::text LIKE '%{text}%'"));
        }

        Assert.Equal(0, await app.Database.CountAsync("gpt_clients c", $"c::text LIKE '%{secret}%'"));
    }

    [GeneratedRegex("data-label=\"Client id\"[^>]*>\\s*<bdi[^>]*>(?<row>[^<]*)<", RegexOptions.None, 1000)]
    private static partial Regex AppRow();
}
