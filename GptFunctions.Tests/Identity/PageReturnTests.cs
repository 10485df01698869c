using System.Buffers.Text;
using System.Net;
using GptFunctions.Identity;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>identity.md 12: where a sign-in for a page leads back to, and in which browser.</summary>
public sealed class PageReturnTests(AppFixture<PageReturnTests> fixture) : IClassFixture<AppFixture<PageReturnTests>>
{
    private const string Home = "/connections";
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData("/connections", true)]
    [InlineData("/operations/people?email=a%40b.example&after=x", true)]
    [InlineData("/", true)]
    [InlineData("", false)]
    [InlineData("connections", false)]
    [InlineData("//evil.example", false)]
    [InlineData("/\\evil.example", false)]
    [InlineData("\\\\evil.example", false)]
    [InlineData("/\t/evil.example", false)]
    [InlineData("/\n/evil.example", false)]
    [InlineData("/connections\r\nSet-Cookie: x=y", false)]
    [InlineData(" //evil.example", false)]
    [InlineData("https://evil.example", false)]
    [InlineData("https:evil.example", false)]
    [InlineData("javascript:alert(1)", false)]
    [InlineData("@evil.example", false)]
    [InlineData("/connections/é", false)]
    public void Return_address_is_a_path_of_ours(string text, bool isLocal)
    {
        Assert.Equal(isLocal, PageSessions.IsLocal(text));
        Assert.True(!isLocal || new Uri(new Uri("https://gpt.example"), text).Host == "gpt.example");
    }

    [Fact]
    public void Return_address_is_no_longer_than_a_url_can_carry() => Assert.False(PageSessions.IsLocal("/" + new string('a', 2000)));

    /// <summary>It is sealed for the browser that began, and whoever planted that browser's cookie can still not make it lead elsewhere.</summary>
    [Theory]
    [InlineData("{id} {soon} //evil.example", false)]
    [InlineData("{id} {soon} https://evil.example", false)]
    [InlineData("{id} {soon} /connections", true)]
    [InlineData("{id} {late} /connections", false)]
    [InlineData("{id} {past} /connections", false)]
    [InlineData("{id} 99999999999999999999 /connections", false)]
    [InlineData("{id} x /connections", false)]
    [InlineData("x {soon} /connections", false)]
    [InlineData("{id}", false)]
    [InlineData("", false)]
    public async Task State_that_somebody_made_leads_nowhere_else(string text, bool isGood)
    {
        var browser = new TestBrowser(app.Http);
        using var start = await browser.GetAsync(Home);
        var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
        context.Request.Headers.Cookie = $"gpt-request={browser.Cookies["gpt-request"]}";
        var now = app.Clock.GetUtcNow();
        var plain = $"{text}".Replace("{id}", Guid.NewGuid().ToString("N"), StringComparison.Ordinal)
            .Replace("{soon}", $"{now.AddMinutes(9).UtcTicks}", StringComparison.Ordinal)
            .Replace("{late}", $"{now.AddMinutes(11).UtcTicks}", StringComparison.Ordinal)
            .Replace("{past}", $"{now.AddSeconds(-1).UtcTicks}", StringComparison.Ordinal);
        var state = "page." + Base64Url.EncodeToString(BrowserBinding.Find(context, isHttps: false)!.Seal(plain, "page sign-in 1"));

        using var response = await browser.GetAsync("/dev/sign-in?request=" + state);

        Assert.Equal(isGood ? HttpStatusCode.OK : HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Theory]
    [InlineData("another browser")]
    [InlineData("no browser")]
    [InlineData("changed")]
    [InlineData("cut off")]
    [InlineData("no text")]
    [InlineData("late")]
    public async Task Sign_in_that_is_not_in_progress_here_is_a_page_that_leads_to_another(string kind)
    {
        await using var own = await app.StartReplicaAsync();
        var browser = new TestBrowser(own.Http);
        using var form = await browser.GetAsync(Home);
        var (csrf, state) = Fields(await form.Content.ReadAsStringAsync());
        var another = new TestBrowser(own.Http);
        using var begun = kind == "another browser" ? await another.GetAsync(Home) : null;
        state = kind switch
        {
            "changed" => state[..^4] + (state.EndsWith("AAAA", StringComparison.Ordinal) ? "BBBB" : "AAAA"),
            "cut off" => state[..20],
            "no text" => "page.%%%",
            _ => state,
        };
        if (kind == "late")
        {
            own.Clock.Advance(TimeSpan.FromMinutes(11));
        }

        var sender = kind is "another browser" or "no browser" ? another : browser;
        using var response = await sender.PostAsync("/dev/sign-in", ("request", state), ("csrf", csrf), ("user_id", "user_nobody"));
        using var callback = await sender.GetAsync("/oauth/callback" + OAuthFlow.Query([("state", state), ("code", "x")]));

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        await PageSessionTests.AssertHelpsAsync(callback, "This sign-in is not in progress here");
        Assert.Equal(0, await app.Database.CountAsync("users", "clerk_user_id = 'user_nobody'"));
    }

    [Fact]
    public async Task Sign_in_10_times_in_parallel_signs_in_once()
    {
        var browser = new TestBrowser(app.Http);
        using var form = await browser.GetAsync(Home);
        var html = await form.Content.ReadAsStringAsync();

        var responses = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ =>
            browser.At(app.Http).PostAsync("/dev/sign-in", [.. TestBrowser.HiddenFields(html), ("user_id", "user_race")])));

        Assert.Equal(1, responses.Count(response => response.StatusCode == HttpStatusCode.OK));
        Assert.Equal(9, responses.Count(response => response.StatusCode == HttpStatusCode.Forbidden));
        Assert.Equal(1, await app.Database.CountAsync("page_sessions", "user_id = (SELECT id FROM users WHERE clerk_user_id = 'user_race')"));
    }

    private static (string Csrf, string State) Fields(string html)
    {
        var fields = TestBrowser.HiddenFields(html).ToDictionary(field => field.Name, field => field.Value!, StringComparer.Ordinal);
        return (fields["csrf"], fields["request"]);
    }
}
