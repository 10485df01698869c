using System.Globalization;
using System.Net;
using System.Reflection;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Pages;

/// <summary>pages.md 4 to 7: in which language a person reads, and that each language says everything.</summary>
public sealed class LanguageTests(AppFixture<LanguageTests> fixture) : IClassFixture<AppFixture<LanguageTests>>
{
    private readonly TestApp app = fixture.App;

    public static TheoryData<string> Tags => [.. Language.All.Select(texts => texts.Tag)];

    [Theory]
    [InlineData(null, "en")]
    [InlineData("", "en")]
    [InlineData("de", "de")]
    [InlineData("DE-at", "de")]
    [InlineData("de-CH-1996, en;q=0.9", "de")]
    [InlineData("fr-FR, de;q=0.5, en;q=0.9", "en")]
    [InlineData("fr, it;q=0.9", "en")]
    [InlineData("en;q=0.3, de;q=0.7", "de")]
    [InlineData("de;q=0, en", "en")]
    [InlineData("en;q=0, *", "de")]
    [InlineData("*", "en")]
    [InlineData("de;q=0.4, *;q=0.5", "en")]
    [InlineData("de;q=ninety", "en")] // cannot be read
    [InlineData("den", "en")] // begins like it, and is another
    [InlineData("d", "en")]
    public void Accepted_is_the_best_of_what_the_header_admits(string? header, string expected) => Assert.Equal(expected, Language.Accepted(header).Tag);

    [Theory]
    [InlineData(null, null)]
    [InlineData("fr", null)]
    [InlineData("fr de en", "de")]
    [InlineData("de-AT en", "de")]
    [InlineData("en-GB de", "en")]
    [InlineData("<script> de", "de")]
    public void Asked_is_the_first_that_there_is(string? tags, string? expected) => Assert.Equal(expected, Language.Asked(tags)?.Tag);

    [Fact]
    public void Lists_that_are_longer_than_any_browsers_are_not_read()
    {
        var list = string.Join(", ", Enumerable.Repeat("de", 1_000));
        Assert.Equal("en", Language.Accepted(list).Tag);
        Assert.Null(Language.Asked(list));
    }

    /// <summary>The compiler asks for each text; that it is one of this language, and has what it was given, is asked here.</summary>
    [Theory]
    [MemberData(nameof(Tags))]
    public void Texts_are_all_there_in_every_language(string tag)
    {
        var texts = Language.All.Single(texts => texts.Tag == tag);
        Assert.Contains(texts.Direction, (string[])["ltr", "rtl"]);
        foreach (var member in typeof(Texts).GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(
                member => member is PropertyInfo or MethodInfo { IsSpecialName: false } && member.Name is not (nameof(Texts.Tag) or nameof(Texts.Direction))))
        {
            foreach (var count in (int[])[1, 2, 25])
            {
                var (text, given) = Say(texts, member, count);
                Assert.False(string.IsNullOrWhiteSpace(text), $"{tag} has no {member.Name}.");
                Assert.All(given, value => Assert.True(text.Contains(value, StringComparison.Ordinal), $"{member.Name} in {tag} leaves {value} out: {text}"));
                Assert.DoesNotContain("  ", text, StringComparison.Ordinal);
                if (texts != Language.English && member.Name is not (nameof(Texts.Time) or nameof(Texts.NewScope)))
                {
                    Assert.True(text != Say(Language.English, member, count).Text, $"{member.Name} in {tag} is English: {text}");
                }
            }
        }
    }

    [Theory]
    [InlineData("en", "5 March 2026, 07:03 UTC")]
    [InlineData("de", "5. März 2026, 07:03 Uhr UTC")]
    public void Time_is_said_as_the_language_says_it(string tag, string expected) =>
        Assert.Equal(expected, Language.Asked(tag)!.Time(new DateTimeOffset(2026, 3, 5, 8, 3, 0, TimeSpan.FromHours(1))));

    /// <summary>What the client asked for goes with the request through sign-in, consent, and what goes wrong on the way.</summary>
    [Fact]
    public async Task Ui_locales_stays_with_the_request_whatever_the_browser_says()
    {
        var client = await OAuthFlow.AddClientAsync(app, name: "Sprachtest");
        var browser = new TestBrowser(app.Http);
        using var consent = await browser.SignInAsync("user_deutsch", OAuthFlow.Parameters(client, ("ui_locales", "fr de-AT en"), ("scope", "jobs:read")));
        var html = await consent.Content.ReadAsStringAsync();

        Assert.Contains("<html lang=\"de\" dir=\"ltr\">", html, StringComparison.Ordinal);
        Assert.Contains("<bdi>Sprachtest</bdi> möchte sich mit Ihrem Konto verbinden", WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        Assert.Contains("<bdi lang=\"de\">Stellenangebote suchen", html, StringComparison.Ordinal);
        Assert.Equal("de", Assert.Single(consent.Content.Headers.ContentLanguage));

        using var nothing = await browser.SubmitAsync(consent);
        Assert.Equal(HttpStatusCode.BadRequest, nothing.StatusCode);
        Assert.Contains("Es wurde nichts gewählt", await TextAsync(nothing), StringComparison.Ordinal);
        using var denied = await browser.SubmitAsync(consent, ("decision", "deny"));
        Assert.Equal("access_denied", OAuthFlow.Parameter(denied.Headers.Location!, "error"));
        using var again = await browser.SubmitAsync(consent, ("decision", "deny"));
        Assert.Contains("Diese Anmeldung läuft hier nicht", await TextAsync(again), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Accept_language_decides_where_the_client_asked_for_nothing()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        using var german = await AuthorizeAsync(client, "de-DE,de;q=0.9,en;q=0.8");
        using var other = await AuthorizeAsync(client, "sv");
        using var asked = await AuthorizeAsync(client, "de", "en");

        Assert.Contains("Diese App kann nicht verbunden werden", await TextAsync(german), StringComparison.Ordinal);
        Assert.Contains("This app cannot be connected", await TextAsync(other), StringComparison.Ordinal);
        Assert.Contains("This app cannot be connected", await TextAsync(asked), StringComparison.Ordinal);
        Assert.Equal("Accept-Language", Assert.Single(german.Headers.Vary));
        Assert.Equal("de", Assert.Single(german.Content.Headers.ContentLanguage));
        // What only engineers understand stays as the standards have it, and says in which language it is.
        Assert.Contains("Für die Hersteller der App: <span lang=\"en\"><bdi>The redirect_uri is not one", await TextAsync(german), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ui_locales=", "de", "Diese App")] // empty is absent
    [InlineData("ui_locales=en&ui_locales=de", "de", "This app")]
    [InlineData("ui_locales=%00", "de", "Dieser Link")]
    [InlineData("ui_locales=%3Cscript%3E", "en", "This app")]
    public async Task Odd_ui_locales_are_no_error_of_their_own(string query, string header, string expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/oauth/authorize?client_id=nobody&" + query, UriKind.Relative));
        request.Headers.Add("Accept-Language", header);
        using var response = await app.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(expected, await TextAsync(response), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "jobs:read": { "en": "See jobs", "de": "Stellen sehen" } }""", "de", "Stellen sehen", "de")]
    [InlineData("""{ "jobs:read": { "en": "See jobs", "fr": "Voir" } }""", "de", "See jobs", "en")]
    [InlineData("""{ "jobs:read": { "fr": "Voir" } }""", "de", "Voir", "fr")]
    [InlineData("""{ "jobs:read": "See jobs" }""", "de", "See jobs", null)]
    [InlineData("jobs:read=See jobs", "de", "See jobs", null)]
    public void Scopes_have_a_sentence_in_each_language_or_the_next_best(string setting, string tag, string expected, string? language)
    {
        var (scopes, problem) = ScopeList.Read(setting);
        Assert.Null(problem);
        Assert.Equal("jobs:read", Assert.Single(scopes!).Key);
        var catalog = new ScopeCatalog(Microsoft.Extensions.Options.Options.Create(new TokenSettings { Scopes = setting }));
        Assert.Equal(new ScopeSentence(language, expected), catalog.Sentence("jobs:read", tag));
        Assert.Equal(new ScopeSentence(null, "gone:scope"), catalog.Sentence("gone:scope", tag));
    }

    [Theory]
    [InlineData("""{ "jobs read": "See" }""", "'jobs read' is not a scope")]
    [InlineData("""{ "jobs:read": {} }""", "has no sentence")]
    [InlineData("""{ "jobs:read": { "en": " " } }""", "has no sentence")]
    [InlineData("""{ "jobs:read": { "en": 1 } }""", "GPT_SCOPES must be")]
    [InlineData("""{ "jobs:read": "a", "jobs:read": "b" }""", "is there twice")]
    [InlineData("""{ "jobs:read": "a\u0007b" }""", "control character")]
    [InlineData("""{ "jobs:read": """, "GPT_SCOPES must be")]
    [InlineData("{}", "GPT_SCOPES must be")]
    public void Scopes_that_cannot_be_read_stop_the_start_with_the_reason(string setting, string expected) =>
        Assert.Contains(expected, ScopeList.Read(setting).Problem, StringComparison.Ordinal);

    private static (string Text, List<string> Given) Say(Texts texts, MemberInfo member, int count)
    {
        var given = new List<string>();
        var result = member switch
        {
            PropertyInfo property => property.GetValue(texts),
            MethodInfo method => method.Invoke(texts, [.. method.GetParameters().Select(parameter => Argument(parameter.ParameterType, count, given))]),
            _ => null,
        };
        return (result is Notice notice ? $"{notice.Title} {notice.Detail}" : result as string ?? "", given);
    }

    private static object? Argument(Type type, int count, List<string> given)
    {
        if (type == typeof(int))
        {
            if (count > 1)
            {
                given.Add(count.ToString(CultureInfo.InvariantCulture));
            }

            return count;
        }

        if (type == typeof(Name) || type == typeof(Name?))
        {
            given.Add("\u2068Exåmple\u2069");
            return (Name)"Exåmple";
        }

        return type == typeof(DateTimeOffset) ? (object)new DateTimeOffset(2026, 3, 5, 7, 3, 0, TimeSpan.Zero)
            : Enumerable.Range(1, count).Select(number => (Name)$"App {number}").ToArray();
    }

    private async Task<HttpResponseMessage> AuthorizeAsync(TestClient client, string header, string? locales = null)
    {
        var parameters = OAuthFlow.Parameters(client, ("redirect_uri", "https://elsewhere.example/"), ("ui_locales", locales));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/oauth/authorize" + OAuthFlow.Query(parameters), UriKind.Relative));
        request.Headers.Add("Accept-Language", header);
        return await app.Http.SendAsync(request);
    }

    private static async Task<string> TextAsync(HttpResponseMessage response) => WebUtility.HtmlDecode(await response.Content.ReadAsStringAsync());
}
