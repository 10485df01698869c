using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>An app that knows an operator and a viewer; its events go to the audit trail at once, as far as a test asks for it.</summary>
public partial class OperationsFixture<TTests> : AppFixture<TTests>
{
    public const string Operator = "user_operator";
    public const string Viewer = "user_viewer";

    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
        [new("OPERATORS", $"{Operator} user_second_operator"), new("OPERATION_VIEWERS", Viewer), new("OUTBOX_RELAY", "true")];

    /// <summary>A browser in which somebody is signed in.</summary>
    internal Task<TestBrowser> SignInAsync(string user) => SignInAsync(App, user);

    internal static async Task<TestBrowser> SignInAsync(TestApp app, string user)
    {
        var browser = new TestBrowser(app.Http);
        using var signIn = await browser.GetAsync("/connections");
        using var page = await browser.SubmitAsync(signIn, ("user_id", user));
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        return browser;
    }

    /// <summary>The text of a page that answers 200.</summary>
    internal static async Task<string> ReadAsync(TestBrowser browser, string path)
    {
        using var page = await browser.GetAsync(path);
        var html = await page.Content.ReadAsStringAsync();
        Assert.True(page.StatusCode == HttpStatusCode.OK, $"{path}: {page.StatusCode} {html}");
        return html;
    }

    /// <summary>Opens the page that asks before an action, and does it.</summary>
    internal static async Task<HttpResponseMessage> DoAsync(TestBrowser browser, string path, params (string Name, string? Value)[] values)
    {
        var form = ActionForm(await ReadAsync(browser, path));
        return await browser.PostAsync(form.Path, [.. form.Fields, .. values]);
    }

    /// <summary>The form of the action that a page asks about: where it goes, and its hidden fields.</summary>
    internal static (string Path, (string Name, string? Value)[] Fields) ActionForm(string html)
    {
        var section = html[html.IndexOf("<section class=\"act\"", StringComparison.Ordinal)..];
        return (WebUtility.HtmlDecode(Action().Match(section).Groups["path"].Value), TestBrowser.HiddenFields(section));
    }

    /// <summary>What operators did to somebody or something, from the audit trail, when nothing waits for it: <c>type | who | why</c>, oldest first.</summary>
    internal async Task<string[]> ActsOnAsync(string whom)
    {
        await Wait.UntilAsync(async () => await App.Database.CountAsync("outbox_messages") == 0);
        return (await App.Database.ScalarAsync<string[]>("""
            SELECT coalesce(array_agg(concat_ws(' | ', replace(event_type, 'gpt.operator.', ''), metadata ->> 'operator', metadata ->> 'reason')
                                      ORDER BY occurred_at, event_id), '{}')
            FROM gpt_oauth_events
            WHERE event_type LIKE 'gpt.operator.%' AND $1 IN (clerk_user_id, client_id, session_id)
            """, whom))!;
    }

    /// <summary>All pages of a list, by their links to the next: what a pattern finds in each, in order.</summary>
    internal static async Task<List<string>> WalkAsync(TestBrowser browser, string path, Regex row)
    {
        var (found, next) = (new List<string>(), (string?)path);
        while (next is not null)
        {
            var html = await ReadAsync(browser, next);
            var rows = row.Matches(html).Select(match => match.Groups["row"].Value).ToList();
            Assert.InRange(rows.Count, 0, 50);
            found.AddRange(rows);
            next = Next().Match(html) is { Success: true } link ? WebUtility.HtmlDecode(link.Groups["url"].Value) : null;
        }

        return found;
    }

    /// <summary>What a page says, without its markup and style.</summary>
    internal static string TextOf(string html) =>
        WebUtility.HtmlDecode(Space().Replace(Tag().Replace(Sheet().Replace(html, ""), " "), " "));

    [GeneratedRegex("<form method=\"post\" action=\"(?<path>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex Action();

    [GeneratedRegex("href=\"(?<url>[^\"]*)\" rel=\"next\"", RegexOptions.None, 1000)]
    private static partial Regex Next();

    [GeneratedRegex("<style>.*?</style>", RegexOptions.Singleline, 1000)]
    private static partial Regex Sheet();

    [GeneratedRegex("<[^>]*>", RegexOptions.None, 1000)]
    private static partial Regex Tag();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Space();
}
