using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Statistics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 5: where each stopped, filtered by the URL, safe whatever was sent.</summary>
public sealed partial class SignInsPageTests(OperationsFixture<SignInsPageTests> fixture) : IClassFixture<OperationsFixture<SignInsPageTests>>
{
    private const string Path = "/operations/sign-ins";
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Sign_in_is_shown_with_its_steps_and_what_it_means()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.CodeAsync(client, "user_page");
        app.Clock.Advance(TimeSpan.FromMinutes(3));
        var text = OperationsFixture<SignInsPageTests>.TextOf(await ReadAsync($"{Path}?app={client.Id}"));
        Assert.Contains(
            "code delivered The code was delivered, and the exchange never came. The host did not accept our answer", text, StringComparison.Ordinal);
        Assert.Contains("user_page", text, StringComparison.Ordinal);
        Assert.Matches("consent page shown 20[0-9-]+ ", text);
    }

    [Theory]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("\"'><img src=x onerror=alert(1)>")]
    [InlineData("\u202Emoc.live\u202C")]
    [InlineData("a\u0007b\u200Bc\u2028d")]
    public async Task Hostile_values_are_text(string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        var client = await OAuthFlow.AddClientAsync(app, name: value.Contains('<', StringComparison.Ordinal) ? value : "Test client");
        using (var request = new HttpRequestMessage(
            HttpMethod.Get, "/oauth/authorize" + OAuthFlow.Query(OAuthFlow.Parameters(client, ("redirect_uri", "https://x/" + value), ("scope", value)))))
        {
            request.Headers.TryAddWithoutValidation("User-Agent", "agent " + string.Concat(value.Where(char.IsAscii)).Replace('\u0007', ' '));
            using var refused = await app.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }

        app.Clock.Advance(TimeSpan.FromSeconds(1));
        var html = await ReadAsync($"{Path}?app={client.Id}&step={Uri.EscapeDataString("refused at once")}");
        Assert.Contains("The redirect URI is not registered", html, StringComparison.Ordinal);
        Assert.DoesNotMatch("<script|<img|[\u202E\u202C\u0007\u200B\u2028]", html);
    }

    [Fact]
    public async Task Value_of_ten_thousand_characters_is_cut()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        // The server takes 8 KB of a request line; a form takes more.
        using var form = new FormUrlEncodedContent([new("client_id", client.Id), new("grant_type", "authorization_code"), new("scope", Words(10_000))]);
        using var refused = await app.Http.PostAsync(new Uri("/oauth/token", UriKind.Relative), form);
        await app.Get<StatisticsWriter>().WriteAsync(false);
        Assert.InRange(
            await app.Database.ScalarAsync<int>("SELECT max(length(sent ->> 'scope')) FROM refused_requests WHERE endpoint = '/oauth/token'"), 400, 501);

        using var page = await flow.AuthorizeAsync(OAuthFlow.Parameters(client, ("redirect_uri", "https://x/" + Words(6_000))));
        Assert.InRange((await ReadAsync($"{Path}?app={client.Id}")).Length, 5_000, 40_000);
    }

    [Fact]
    public async Task List_is_paged_by_key_until_its_end()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO sign_ins (id, at, client_id, redirect_uri, clerk_user_id, signed_in_at)
            SELECT ('01000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, now(), 'paged', 'https://x', 'user_paged', now()
            FROM generate_series(1, 120) n
            """);
        var (path, seen) = ((string?)$"{Path}?user=user_paged", new List<string>());
        for (var page = 1; path is not null; page++)
        {
            var html = await ReadAsync(path);
            var rows = Regex.Count(html, "<tr role=\"row\">") - 1;
            Assert.Equal(page < 3 ? 50 : 20, rows);
            seen.Add(path);
            path = Next().Match(html) is { Success: true } next ? WebUtility.HtmlDecode(next.Groups["url"].Value) : null;
        }

        Assert.Equal(3, seen.Distinct(StringComparer.Ordinal).Count());
        Assert.All(seen, one => Assert.Contains("user=user_paged", one, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Time_that_is_none_is_refused_with_a_sentence_and_an_empty_list_says_what_to_look_at()
    {
        var browser = await fixture.SignInAsync(OperationsFixture<SignInsPageTests>.Viewer);
        using var refused = await browser.GetAsync(Path + "?since=yesterday-ish");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("compare the authorization URL in the app", await ReadAsync(Path + "?app=nobody"), StringComparison.Ordinal);
        Assert.Contains("compare the authorization URL in the app", await ReadAsync(Path + "?since=2026-01-01&until=2020-01-01"), StringComparison.Ordinal);
    }

    private static string Words(int length) => string.Concat(Enumerable.Repeat("word", length / 5).Select(word => word + "."))[..(length - 4)];

    private async Task<string> ReadAsync(string path)
    {
        await app.Get<StatisticsWriter>().WriteAsync(false);
        return await OperationsFixture<SignInsPageTests>.ReadAsync(await fixture.SignInAsync(OperationsFixture<SignInsPageTests>.Viewer), path);
    }

    [GeneratedRegex("<a class=\"button\" href=\"(?<url>[^\"]*)\" rel=\"next\"", RegexOptions.None, 1000)]
    private static partial Regex Next();
}
