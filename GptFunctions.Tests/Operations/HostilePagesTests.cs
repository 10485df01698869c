using System.Globalization;
using System.Text.RegularExpressions;
using GptFunctions.Operations;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 13: whatever names, ids, types and errors say, a page shows it as text, and what cannot be seen as what it is.</summary>
public sealed partial class HostilePagesTests(OperationsFixture<HostilePagesTests> fixture) : IClassFixture<OperationsFixture<HostilePagesTests>>
{
    [Fact]
    public async Task Every_field_that_is_shown_is_shown_as_text()
    {
        await HostileRows.AddAsync(fixture.App.Database);
        var browser = await fixture.SignInAsync(OperationsFixture<HostilePagesTests>.Operator);
        foreach (var path in (string[])
            [$"people?user={HostileRows.User}", $"people?q={HostileRows.Mail}", "apps?q=", $"audit?user={HostileRows.User}"])
        {
            var html = await ShownAsync(browser, path);
            var text = OperationsFixture<HostilePagesTests>.TextOf(html);
            Assert.All(HostileRows.Texts, given => Assert.Contains(Start(given), text, StringComparison.Ordinal));
        }

        for (var place = 0; place < HostileRows.Texts.Count; place++)
        {
            var app = OperationsFixture<HostilePagesTests>.TextOf(await ShownAsync(browser, $"apps?app={HostileRows.ClientOf(place)}"));
            Assert.Contains("Name " + Start(HostileRows.Texts[place]), app, StringComparison.Ordinal);
        }
    }

    /// <summary>What a link says is shown again: in a field, in a question, in a sentence.</summary>
    [Fact]
    public async Task Every_parameter_that_is_shown_again_is_shown_as_text()
    {
        await fixture.Flow.TokensAsync(await OAuthFlow.AddClientAsync(fixture.App), "user_echo");
        var browser = await fixture.SignInAsync(OperationsFixture<HostilePagesTests>.Operator);
        foreach (var given in HostileRows.Texts.Where(given => given.Length < 1000))
        {
            var value = Uri.EscapeDataString(given);
            foreach (var path in (string[])
                [
                    $"people?q={value}", $"people?user={value}", $"people?user=user_echo&confirm=end-session&session={value}", $"apps?app={value}",
                    $"apps?q={value}&kind={value}&state={value}&after={value}",
                    $"audit?user={value}&app={value}&type={value}&correlation={value}&after={value}",
                    $"audit?user={value}&confirm=export", $"audit?since={value}", $"audit?notice={value}&seal={value}",
                ])
            {
                await ShownAsync(browser, path);
            }
        }
    }

    private static string Start(string given)
    {
        var visible = OutsideText.Visible(given);
        return visible.Length > 200 ? visible[..100] : visible;
    }

    private static async Task<string> ShownAsync(TestBrowser browser, string path)
    {
        using var page = await browser.GetAsync("/operations/" + path);
        var html = await page.Content.ReadAsStringAsync();
        Assert.True((int)page.StatusCode is 200 or 400 or 404, $"{path}: {page.StatusCode} {html}");
        Assert.Single(Heading().Matches(html));
        foreach (var given in HostileRows.Texts.Where(given => given.AsSpan().IndexOfAny('<', '"') >= 0))
        {
            Assert.DoesNotContain(given, html, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(Tag().Matches(html), tag => tag.Value.Contains(" on", StringComparison.OrdinalIgnoreCase) && Handler().IsMatch(tag.Value));
        Assert.All(Link().Matches(html), link => Assert.StartsWith("/", link.Groups["url"].Value, StringComparison.Ordinal));
        Assert.DoesNotContain(
            OperationsFixture<HostilePagesTests>.TextOf(html),
            character => CharUnicodeInfo.GetUnicodeCategory(character) is UnicodeCategory.Control or UnicodeCategory.Format);
        return html;
    }

    [GeneratedRegex("<h1[ >]", RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Heading();

    [GeneratedRegex("<[a-z][^>]*>", RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Tag();

    // Outside of quotes: within them it is a text.
    [GeneratedRegex("^<[^\"]*(\"[^\"]*\"[^\"]*)*\\son[a-z]+=", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Handler();

    [GeneratedRegex("<a [^>]*href=\"(?<url>[^\"]*)\"", RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Link();
}
