using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Connections;

/// <summary>connections.md 3, 5 and 7: who may end what, and texts that nobody should believe.</summary>
public sealed partial class ConnectionsSafetyTests(AppFixture<ConnectionsSafetyTests> fixture) : IClassFixture<AppFixture<ConnectionsSafetyTests>>
{
    private const string Home = "/connections";
    private const string Disconnect = "/connections/disconnect";
    private const string DisconnectAll = "/connections/disconnect-all";
    private readonly TestApp app = fixture.App;

    public static TheoryData<int> Hostile => [.. Enumerable.Range(0, ConnectionRows.Hostile.Count)];

    [Theory]
    [InlineData("missing")]
    [InlineData("garbage")]
    [InlineData("another person's")]
    [InlineData("another app's")]
    [InlineData("another form's")]
    [InlineData("of an earlier sign-in")]
    [InlineData("another person's session")]
    public async Task Disconnect_without_the_token_of_this_form_is_403_and_changes_nothing(string kind)
    {
        var id = $"{kind}".Replace(' ', '-').Replace("'", "", StringComparison.Ordinal);
        var (user, foreign) = ($"user_{id}", $"other_{id}");
        await AddAsync(user, "Mine", $"mine-{id}");
        await AddAsync(user, "Second", $"second-{id}");
        await AddAsync(foreign, "Mine", $"mine-{id}");
        var (browser, other) = (await TestBrowser.SignedInAsync(app.Http, user), await TestBrowser.SignedInAsync(app.Http, foreign));
        async Task<string?> TokenAsync(TestBrowser of, string path, string action)
        {
            using var page = await of.GetAsync(path);
            return TestBrowser.FieldsOf(await page.Content.ReadAsStringAsync(), action).Single(field => field.Name == "csrf").Value;
        }

        var mine = $"{Disconnect}?client=mine-{id}";
        var csrf = kind switch
        {
            "missing" => null,
            "garbage" => "garbage",
            "another person's" => await TokenAsync(other, mine, Disconnect),
            "another app's" => await TokenAsync(browser, $"{Disconnect}?client=second-{id}", Disconnect),
            "another form's" => await TokenAsync(browser, DisconnectAll, DisconnectAll),
            _ => await TokenAsync(browser, mine, Disconnect),
        };
        if (kind == "of an earlier sign-in")
        {
            using var list = await browser.GetAsync(Home);
            using var signedOut = await browser.SubmitToAsync(list, "/connections/sign-out");
            using var back = await browser.OpenAsync(Home, user);
        }

        var sender = kind == "another person's session" ? other : browser;
        using var response = await sender.PostAsync(Disconnect, ("client", $"mine-{id}"), ("csrf", csrf));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("This page is out of date", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(2, await app.Database.CountAsync("gpt_sessions", $"client_id = 'mine-{id}' AND revoked_at IS NULL"));
        Assert.Equal(2, await app.Database.CountAsync("gpt_consents", $"client_id = 'mine-{id}' AND revoked_at IS NULL"));
    }

    /// <summary>What somebody else has connected is not there, and no id leads to it.</summary>
    [Fact]
    public async Task App_of_another_person_is_neither_shown_nor_asked_about()
    {
        await AddAsync("user_owner", "Private App", "private-app");
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_stranger");

        using var question = await browser.GetAsync($"{Disconnect}?client=private-app");
        var html = await question.Content.ReadAsStringAsync();

        Assert.Equal(Home, question.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.DoesNotContain("Private App", html, StringComparison.Ordinal);
    }

    /// <summary>Names, hosts and ids as nobody would register them: text on every page, shortened, and turning nothing round.</summary>
    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Text_of_an_app_is_text_on_every_page(int number)
    {
        var (hostile, user) = (ConnectionRows.Hostile[number], $"user_hostile_{number}");
        var id = hostile.Length <= 512 ? $"{number}{hostile}" : $"long-{number}";
        await AddAsync(user, hostile, id, host: hostile);
        var browser = await TestBrowser.SignedInAsync(app.Http, user);
        var shown = DisplayText.Clean(hostile, DisplayText.MaximumName);

        using var list = await browser.GetAsync(Home);
        using var question = await browser.GetAsync(Disconnect + OAuthFlow.Query([("client", id)]));
        using var everything = await browser.GetAsync(DisconnectAll);
        foreach (var page in (HttpResponseMessage[])[list, question, everything])
        {
            var html = await page.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.OK, page.StatusCode);
            Assert.Contains(shown, Bdi().Matches(html).Select(match => WebUtility.HtmlDecode(match.Groups["text"].Value)));
            Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotMatch("<[^>]*\\son[a-z]+=", AttributesGone().Replace(html, "\"\""));
            Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
            Assert.Single(H1().Matches(html));
            Assert.DoesNotContain('\u202E', WebUtility.HtmlDecode(AttributesGone().Replace(html, "\"\"")));
            Assert.True(html.Length < 40_000);
        }

        using var done = await browser.SubmitToAsync(question, Disconnect);
        Assert.Contains("No app is connected", await done.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Home)]
    [InlineData(DisconnectAll)]
    [InlineData(Disconnect + "?client=framed")]
    [InlineData("/connections/signed-out")]
    [InlineData("/connections/sign-out?missing")]
    public async Task Page_has_headers_against_framing_scripts_referrers_and_caching(string path)
    {
        await AddAsync("user_framed", "Framed", "framed");
        var browser = await TestBrowser.SignedInAsync(app.Http, "user_framed");

        using var page = await browser.GetAsync(path);

        var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("form-action 'self';", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.Equal("DENY", Assert.Single(page.Headers.GetValues("X-Frame-Options")));
        Assert.Equal("no-referrer", Assert.Single(page.Headers.GetValues("Referrer-Policy")));
        Assert.True(page.Headers.CacheControl?.NoStore);
    }

    private Task AddAsync(string user, string name, string clientId, string host = "chatgpt.com") =>
        ConnectionRows.AddAsync(app.Database, user, name, clientId, host: host);

    [GeneratedRegex("<bdi[^>]*>(?<text>[^<]*)</bdi>", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Bdi();

    [GeneratedRegex("\"[^\"]*\"", RegexOptions.None, 1000)]
    private static partial Regex AttributesGone();

    [GeneratedRegex("<h1", RegexOptions.None, 1000)]
    private static partial Regex H1();
}
