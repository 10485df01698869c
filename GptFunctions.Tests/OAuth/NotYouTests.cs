using System.Net;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.OAuth;

/// <summary>oauth.md 52: "Not you?" on the consent page. Somebody else answers the same request, and nobody else can make that happen.</summary>
public sealed partial class NotYouTests(AppFixture<NotYouTests> fixture) : IClassFixture<AppFixture<NotYouTests>>
{
    private readonly TestApp app = fixture.App;
    private readonly OAuthFlow flow = fixture.Flow;

    [Fact]
    public async Task Somebody_else_answers_the_same_request()
    {
        var client = await OAuthFlow.AddClientAsync(app, isPublic: true);
        var browser = new TestBrowser(app.Http);
        using var first = await browser.SignInAsync("user_not_me", Parameters(client, ("state", "kept % +ü"), ("scope", "jobs:read")));
        using var signIn = await browser.GetAsync(await LinkAsync(first));
        using var second = await browser.SubmitAsync(signIn, ("user_id", "user_me"));
        var html = await second.Content.ReadAsStringAsync();
        using var approved = await browser.SubmitAsync(second, ("decision", "approve"));
        var code = OAuthFlow.Parameter(approved.Headers.Location!, "code")!;
        var tokens = await flow.ExchangeAsync(client, code, ("code_verifier", OAuthFlow.Verifier));

        Assert.Contains("<bdi>user_me</bdi>", html, StringComparison.Ordinal);
        Assert.Contains("<html lang=\"de\"", html, StringComparison.Ordinal);
        Assert.Equal("kept % +ü", OAuthFlow.Parameter(approved.Headers.Location!, "state"));
        Assert.Equal(HttpStatusCode.OK, tokens.Status);
        Assert.Equal("jobs:read", tokens["scope"]);
        Assert.Equal(
            0,
            await app.Database.CountAsync(
                "gpt_consents", $"client_id = '{client.Id}' AND user_id = (SELECT id FROM users WHERE clerk_user_id = 'user_not_me')"));
    }

    /// <summary>What the first person was asked is over: neither the page from before nor its link can be used.</summary>
    [Fact]
    public async Task Page_from_before_can_neither_be_approved_nor_used_twice()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var first = await browser.SignInAsync("user_left", OAuthFlow.Parameters(client));
        var link = await LinkAsync(first);
        using var signIn = await browser.GetAsync(link);
        using var late = await browser.SubmitAsync(first, ("decision", "approve"));
        using var twice = await browser.GetAsync(link);

        Assert.Equal(HttpStatusCode.OK, signIn.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, late.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, twice.StatusCode);
        Assert.Equal(0, await app.Database.CountAsync("gpt_authorization_codes", $"client_id = '{client.Id}'"));
    }

    /// <summary>A link of somebody else's ends nothing, and the token of the form is none for it, nor the other way round.</summary>
    [Fact]
    public async Task Link_without_the_pages_token_or_from_another_browser_changes_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_forged", OAuthFlow.Parameters(client));
        var html = await page.Content.ReadAsStringAsync();
        var (link, fields) = (await LinkAsync(page), TestBrowser.HiddenFields(html));
        var csrf = fields.Single(field => field.Name == "csrf").Value!;
        var token = link.Split("not_you=")[1];

        foreach (var forged in (string[])[csrf, "", "A" + token, new string('A', 43)])
        {
            using var answer = await browser.GetAsync(link.Split("&not_you=")[0] + "&not_you=" + (forged.Length == 0 ? "x" : forged));
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }

        using var stranger = await new TestBrowser(app.Http).GetAsync(link);
        using var wrongToken = await browser.PostAsync(
            "/oauth/authorize/decision", [.. fields.Where(field => field.Name != "csrf"), ("csrf", token), ("decision", "approve")]);
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));

        Assert.Equal(HttpStatusCode.Forbidden, stranger.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, wrongToken.StatusCode);
        Assert.NotNull(OAuthFlow.Parameter(approved.Headers.Location!, "code"));
    }

    /// <summary>A preview of the link is no answer of the person's.</summary>
    [Fact]
    public async Task Head_of_the_link_changes_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var browser = new TestBrowser(app.Http);
        using var page = await browser.SignInAsync("user_head", OAuthFlow.Parameters(client));
        using var head = await browser.SendAsync(new HttpRequestMessage(HttpMethod.Head, new Uri(await LinkAsync(page), UriKind.Relative)));
        using var approved = await browser.SubmitAsync(page, ("decision", "approve"));

        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        Assert.NotNull(OAuthFlow.Parameter(approved.Headers.Location!, "code"));
    }

    private static (string Name, string? Value)[] Parameters(TestClient client, params (string Name, string? Value)[] more) => OAuthFlow.Parameters(
        client, [("code_challenge", OAuthFlow.Challenge), ("code_challenge_method", "S256"), ("ui_locales", "de"), .. more]);

    /// <summary>Where "Not you?" of a consent page leads.</summary>
    internal static async Task<string> LinkAsync(HttpResponseMessage page) =>
        WebUtility.HtmlDecode(NotYou().Match(await page.Content.ReadAsStringAsync()).Groups["url"].Value);

    [GeneratedRegex("<a href=\"(?<url>/oauth/authorize[^\"]+not_you=[^\"]+)\"", RegexOptions.None, 1000)]
    private static partial Regex NotYou();
}
