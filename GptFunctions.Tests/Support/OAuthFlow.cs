using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Web;
using GptFunctions.OAuth;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Support;

/// <summary>A client registered for a test.</summary>
internal sealed record TestClient(string Id, string? Secret, string RedirectUri);

/// <summary>An answer of an endpoint: status, headers and the JSON body (undefined when there is none).</summary>
internal sealed record JsonAnswer(HttpStatusCode Status, HttpResponseHeaders Headers, JsonElement Json, string Text)
{
    public string? this[string member] => Json.ValueKind == JsonValueKind.Object && Json.TryGetProperty(member, out var value) ? value.ToString() : null;

    /// <summary>The OAuth error code; null on success.</summary>
    public string? Error => this["error"];
}

/// <summary>What a client and a person's browser do, request by request, against one app.</summary>
internal sealed partial class OAuthFlow(HttpClient http)
{
    public const string Verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636 appendix B
    public const string Challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    public static async Task<TestClient> AddClientAsync(
        TestApp app, string? redirectUri = null, bool isPublic = false, bool requirePkce = false, string[]? methods = null, string[]? scopes = null,
        string? name = null, params string[] moreRedirectUris)
    {
        var uri = redirectUri ?? "https://client.example/callback";
        var (issued, problem) = await app.Get<ClientService>().AddAsync(
            new NewClient(name ?? "Test client", null, isPublic, [], [uri, .. moreRedirectUris], scopes ?? [], methods ?? [], !isPublic && !requirePkce));
        Assert.Null(problem);
        RunLog.NoteSecret(issued!.Secret);
        return new TestClient(issued.Client.Id, issued.Secret, uri);
    }

    /// <summary>GET /oauth/authorize with these parameters, as a fresh browser; nothing is followed.</summary>
    public Task<HttpResponseMessage> AuthorizeAsync(params (string Name, string? Value)[] parameters) =>
        http.GetAsync(new Uri("/oauth/authorize" + Query(parameters), UriKind.Relative));

    /// <summary>Walks authorize, sign-in and (where asked) consent as one browser; returns the redirect to the client.</summary>
    public async Task<Uri> ApproveAsync(TestClient client, string user, params (string Name, string? Value)[] more)
    {
        var browser = new TestBrowser(http);
        using var response = await browser.SignInAsync(user, Parameters(client, more));
        using var final = response.StatusCode == HttpStatusCode.OK ? await browser.SubmitAsync(response, ("decision", "approve")) : response;
        Assert.True(final.Headers.Location is not null, await final.Content.ReadAsStringAsync());
        return final.Headers.Location!;
    }

    /// <summary>The code of a full sign-in.</summary>
    public async Task<string> CodeAsync(TestClient client, string user, params (string Name, string? Value)[] more)
    {
        var code = Parameter(await ApproveAsync(client, user, more), "code")!;
        RunLog.NoteSecret(code);
        return code;
    }

    /// <summary>The tokens of a full sign-in.</summary>
    public async Task<JsonAnswer> TokensAsync(TestClient client, string user, params (string Name, string? Value)[] more)
    {
        var usesPkce = client.Secret is null;
        var code = await CodeAsync(client, user, usesPkce ? [.. more, ("code_challenge", Challenge), ("code_challenge_method", "S256")] : more);
        var tokens = await ExchangeAsync(client, code, usesPkce ? [("code_verifier", Verifier)] : []);
        Assert.True(tokens.Status == HttpStatusCode.OK, tokens.Text);
        return tokens;
    }

    public Task<JsonAnswer> ExchangeAsync(TestClient client, string code, params (string Name, string? Value)[] more) =>
        PostAsync("/oauth/token", client, [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", client.RedirectUri), .. more]);

    public Task<JsonAnswer> RefreshAsync(TestClient client, string refreshToken, params (string Name, string? Value)[] more) =>
        PostAsync("/oauth/token", client, [("grant_type", "refresh_token"), ("refresh_token", refreshToken), .. more]);

    public Task<JsonAnswer> RevokeAsync(TestClient client, string token) => PostAsync("/oauth/revoke", client, [("token", token)]);

    public Task<JsonAnswer> IntrospectAsync(TestClient client, string token) => PostAsync("/oauth/introspect", client, [("token", token)]);

    /// <summary>GET /oauth/sessions with a bearer token.</summary>
    public async Task<JsonAnswer> SessionsAsync(string token)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri("/oauth/sessions", UriKind.Relative))
        {
            Headers = { Authorization = new("Bearer", token) },
        };
        return await SendAsync(request);
    }

    /// <summary>
    /// Posts a form with the client's credentials in the body (client_secret_post, or none). A null value leaves a parameter out; an earlier one of
    /// the same name wins nothing: both are sent.
    /// </summary>
    public Task<JsonAnswer> PostAsync(string path, TestClient client, params (string Name, string? Value)[] parameters) =>
        PostFormAsync(path, null, [.. parameters, ("client_id", client.Id), ("client_secret", client.Secret)]);

    public async Task<JsonAnswer> PostFormAsync(string path, AuthenticationHeaderValue? authorization, params (string Name, string? Value)[] parameters)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Headers = { Authorization = authorization } };
        request.Content = new StringContent(Query(parameters).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        return await SendAsync(request);
    }

    public static AuthenticationHeaderValue Basic(string id, string? secret) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Uri.EscapeDataString(id)}:{Uri.EscapeDataString(secret ?? "")}")));

    public async Task<JsonAnswer> SendAsync(HttpRequestMessage request)
    {
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var isJson = response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) == true && text.Length > 0;
        var answer = new JsonAnswer(response.StatusCode, response.Headers, isJson ? JsonDocument.Parse(text).RootElement : default, text);
        RunLog.NoteSecret(answer["access_token"]);
        RunLog.NoteSecret(answer["refresh_token"]);
        return answer;
    }

    /// <summary>The parameters of an ordinary request; those in <paramref name="more"/> replace them by name, and null removes.</summary>
    public static (string Name, string? Value)[] Parameters(TestClient client, params (string Name, string? Value)[] more)
    {
        (string, string?)[] usual = [("response_type", "code"), ("client_id", client.Id), ("redirect_uri", client.RedirectUri), ("state", "a-state")];
        return [.. usual.Where(parameter => !more.Any(other => other.Name == parameter.Item1)), .. more];
    }

    public static string Query(IEnumerable<(string Name, string? Value)> parameters) =>
        "?" + string.Join(
            '&',
            parameters.Where(parameter => parameter.Value is not null)
                .Select(parameter => $"{Uri.EscapeDataString(parameter.Name)}={Uri.EscapeDataString(parameter.Value!)}"));

    /// <summary>One parameter of a redirect's query; null when absent.</summary>
    public static string? Parameter(Uri redirect, string name) => HttpUtility.ParseQueryString(redirect.Query)[name];

    /// <summary>The names of the parameters of a redirect's query, in their order, separated by spaces.</summary>
    public static string ParameterNames(Uri redirect) => string.Join(' ', redirect.Query.TrimStart('?').Split('&').Select(pair => pair.Split('=')[0]));
}

/// <summary>A browser without script: keeps cookies, fills in forms, follows redirects on this server only.</summary>
internal sealed partial class TestBrowser(HttpClient http)
{
    private readonly Dictionary<string, string> cookies = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, string> Cookies => cookies;

    /// <summary>Puts a cookie into the browser that no server gave it.</summary>
    public void Plant(string name, string value) => cookies[name] = value;

    /// <summary>The same browser, with its cookies, at another replica.</summary>
    public TestBrowser At(HttpClient replica)
    {
        var moved = new TestBrowser(replica);
        foreach (var (name, value) in cookies)
        {
            moved.Plant(name, value);
        }

        return moved;
    }

    /// <summary>
    /// Starts a request and signs in at /dev/sign-in; returns the consent page (200), or the redirect to the client when consent was remembered.
    /// </summary>
    public async Task<HttpResponseMessage> SignInAsync(string user, params (string Name, string? Value)[] parameters)
    {
        var page = await GetAsync("/oauth/authorize" + OAuthFlow.Query(parameters));
        return page.StatusCode == HttpStatusCode.OK ? await SubmitAsync(page, ("user_id", user)) : page;
    }

    /// <summary>A browser in which somebody has signed in (at /dev/sign-in) to our pages.</summary>
    public static async Task<TestBrowser> SignedInAsync(HttpClient http, string user)
    {
        var browser = new TestBrowser(http);
        using var page = await browser.OpenAsync("/connections", user);
        Assert.True(page.StatusCode == HttpStatusCode.OK, await page.Content.ReadAsStringAsync());
        return browser;
    }

    /// <summary>Opens a page of ours, signing in (at /dev/sign-in) where it asks for that.</summary>
    public async Task<HttpResponseMessage> OpenAsync(string path, string user)
    {
        var page = await GetAsync(path);
        return page.RequestMessage!.RequestUri!.AbsolutePath == "/dev/sign-in" ? await SubmitAsync(page, ("user_id", user)) : page;
    }

    /// <summary>Posts the form of a page that leads to this path, of several the first, with its hidden fields and these values.</summary>
    public async Task<HttpResponseMessage> SubmitToAsync(HttpResponseMessage page, string action, params (string Name, string? Value)[] values) =>
        await PostAsync(action, [.. FieldsOf(await page.Content.ReadAsStringAsync(), action), .. values]);

    /// <summary>The hidden fields of the first form that leads to this path.</summary>
    public static (string Name, string? Value)[] FieldsOf(string html, string action)
    {
        var start = html.IndexOf($"action=\"{action}\"", StringComparison.Ordinal);
        Assert.True(start >= 0, $"There is no form to {action} in: {html}");
        return HiddenFields(html[start..html.IndexOf("</form>", start, StringComparison.Ordinal)]);
    }

    /// <summary>GET, following redirects that stay on this server.</summary>
    public Task<HttpResponseMessage> GetAsync(string path) => FollowAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative)));

    /// <summary>Posts the form of a page with its hidden fields and these values.</summary>
    public async Task<HttpResponseMessage> SubmitAsync(HttpResponseMessage page, params (string Name, string? Value)[] values)
    {
        var html = await page.Content.ReadAsStringAsync();
        var action = WebUtility.HtmlDecode(FormAction().Match(html).Groups["action"].Value);
        return await PostAsync(action, [.. HiddenFields(html), .. values]);
    }

    public Task<HttpResponseMessage> PostAsync(string path, params (string Name, string? Value)[] values)
    {
        var content = new StringContent(OAuthFlow.Query(values).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        return FollowAsync(new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = content });
    }

    public static (string Name, string? Value)[] HiddenFields(string html) =>
        [.. HiddenField().Matches(html).Select(match => (match.Groups["name"].Value, (string?)WebUtility.HtmlDecode(match.Groups["value"].Value)))];

    /// <summary>Sends one request with this browser's cookies and follows nothing.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request)
    {
        if (cookies.Count > 0)
        {
            request.Headers.Add("Cookie", string.Join("; ", cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        }

        var response = await http.SendAsync(request);
        foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set : [])
        {
            var pair = cookie.Split(';')[0].Split('=', 2);
            cookies[pair[0]] = pair[1];
            RunLog.NoteSecret(pair[1]);
        }

        return response;
    }

    private async Task<HttpResponseMessage> FollowAsync(HttpRequestMessage request)
    {
        var response = await SendAsync(request);
        while (response.Headers.Location is { IsAbsoluteUri: false } next)
        {
            response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, next));
        }

        return response;
    }

    [GeneratedRegex("<form[^>]*action=\"(?<action>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex FormAction();

    [GeneratedRegex("<input type=\"hidden\" name=\"(?<name>[^\"]*)\" value=\"(?<value>[^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex HiddenField();
}
