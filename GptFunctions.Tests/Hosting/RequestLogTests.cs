using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 21 to 23: each refusal leaves one line and one count, and each request of Production a line with its correlation id.</summary>
public sealed partial class RequestLogTests(GatewayFixture<RequestLogTests> fixture) : IClassFixture<GatewayFixture<RequestLogTests>>
{
    private const string Form = "application/x-www-form-urlencoded";
    private readonly TestApp app = fixture.App;

    /// <summary>Method, path, body, Authorization; status, route, counter's area, reason.</summary>
    public static TheoryData<string, string, string?, string?, int, string, string> Refused => new()
    {
        { "GET", "/oauth/authorize", null, null, 400, "oauth", "invalid_request" },
        { "GET", "/oauth/authorize?client_id=nobody", null, null, 400, "oauth", "client_unknown" },
        { "GET", "/oauth/authorize?client_id=CLIENT&redirect_uri=https%3A%2F%2Fevil.example", null, null, 400, "oauth", "redirect_uri_unregistered" },
        { "GET", "/oauth/authorize?client_id=CLIENT&response_type=token", null, null, 302, "oauth", "unsupported_response_type" },
        { "GET", "/oauth/authorize?client_id=CLIENT&response_type=code&scope=everything", null, null, 302, "oauth", "invalid_scope" },
        { "GET", "/oauth/authorize?client_id=CLIENT&response_type=code&request=x", null, null, 302, "oauth", "invalid_request" },
        { "GET", "/oauth/authorize?continue=x", null, null, 403, "oauth", "not_in_progress" },
        { "POST", "/oauth/authorize/decision", "decision=approve", null, 403, "oauth", "not_in_progress" },
        { "GET", "/oauth/callback?code=x&state=y", null, null, 403, "oauth", "not_in_progress" },
        { "GET", "/oauth/consent", null, null, 401, "oauth", "token_missing" },
        { "GET", "/oauth/consent", null, "Bearer nonsense", 401, "oauth", "token_unfit" },
        { "GET", "/oauth/token", null, null, 405, "oauth", "method_not_allowed" },
        { "POST", "/oauth/token", "grant_type=password", null, 401, "oauth", "invalid_client" },
        { "POST", "/oauth/token", "grant_type=password&client_id=CLIENT&client_secret=wrong", null, 400, "oauth", "unsupported_grant_type" },
        { "POST", "/oauth/token", "grant_type=refresh_token&refresh_token=x&client_id=nobody", null, 401, "oauth", "client_unknown" },
        { "POST", "/oauth/token", "grant_type=refresh_token&refresh_token=x&client_id=CLIENT&client_secret=wrong", null, 401, "oauth",
            "client_secret_wrong" },
        { "POST", "/oauth/token", "grant_type=authorization_code&code=x&client_id=CLIENT", null, 401, "oauth", "client_method_wrong" },
        { "POST", "/oauth/revoke", "client_id=CLIENT", null, 400, "oauth", "invalid_request" },
        { "POST", "/oauth/introspect", "token=x&client_id=CLIENT", null, 401, "oauth", "invalid_client" },
        { "POST", "/oauth/register", "{}", null, 400, "oauth", "invalid_redirect_uri" },
        { "GET", "/oauth/sessions", null, null, 401, "oauth", "token_missing" },
        { "DELETE", "/oauth/sessions/x", null, "Bearer nonsense", 401, "oauth", "token_forged" },
        { "GET", "/gpt/nowhere", null, null, 404, "gateway", "not_found" },
        { "GET", "/gpt/echo", null, null, 401, "gateway", "token_missing" },
        { "GET", "/gpt/echo", null, "Bearer nonsense", 401, "gateway", "token_forged" },
        { "GET", "/gpt/echo?access_token=x", null, null, 400, "gateway", "token_in_url" },
        { "GET", "/gpt/expensive", null, "Bearer ", 401, "gateway", "token_missing" },
        { "POST", "/webhooks/nobody", "{}", null, 404, "webhooks", "not_found" },
        { "POST", "/webhooks/clerk", "no json", null, 400, "webhooks", "malformed" },
        { "GET", "/verifications/order_1", null, null, 401, "http", "service_key_missing" },
        { "GET", "/no/such/path/user_7", null, null, 404, "http", "not_found" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Refusal_leaves_one_line_and_one_count(
        string method, string path, string? body, string? authorization, int status, string area, string reason)
    {
        ArgumentNullException.ThrowIfNull(path);
        var client = (await OAuthFlow.AddClientAsync(app)).Id;
        (path, body) = (path.Replace("CLIENT", client, StringComparison.Ordinal), body?.Replace("CLIENT", client, StringComparison.Ordinal));
        using var counted = new MeterReading(app.Get<RequestLog>().Meter);
        var id = RandomNumberGenerator.GetHexString(32);
        using var request = new HttpRequestMessage(HttpMethod.Parse(method), new Uri(path, UriKind.Relative)) { Headers = { { Correlation.Header, id } } };
        request.Headers.TryAddWithoutValidation("Authorization", authorization);
        request.Content = body is null ? null : new StringContent(body, Encoding.ASCII, body.StartsWith('{') ? "application/json" : Form);

        using var answer = await app.Http.SendAsync(request);

        Assert.Equal(status, (int)answer.StatusCode);
        var line = await LineOfAsync(id);
        Assert.Matches($@"^Information 1051 {method} [^?]+refused with {status} in [\d.]+ ms: {reason} \(client ", line);
        Assert.DoesNotContain("user_7", line, StringComparison.Ordinal);
        var series = Assert.Single(counted.Series);
        Assert.Matches($@"^gpt\.{area}\.refusals{{reason={reason},route=[^?]+}}$", series.Key);
        Assert.Equal(1, series.Value);
    }

    /// <summary>The template of the route, and not the path; the client and the session of a token that is one.</summary>
    [Fact]
    public async Task Refusal_by_the_gateway_names_client_and_session_and_no_person()
    {
        var user = await fixture.Users.AddAsync("user_refused_by_name", scope: "applications:write");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/gpt/echo/../echo?q=private", UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", user.Token);

        using var answer = await app.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        var line = await LineOfAsync(answer.Headers.GetValues(Correlation.Header).Single());
        Assert.StartsWith("Information 1051 GET /gpt/{*path}", line, StringComparison.Ordinal);
        Assert.Contains($"insufficient_scope (client {user.ClientId}, session {user.SessionId}", line, StringComparison.Ordinal);
        Assert.DoesNotContain("private", line, StringComparison.Ordinal);
        Assert.DoesNotContain("user_refused_by_name", line, StringComparison.Ordinal);
    }

    /// <summary>Somebody who puts the secret into the wrong field does not find it in a log afterwards.</summary>
    [Fact]
    public async Task Client_id_that_is_nobodys_is_not_written()
    {
        var flow = new OAuthFlow(app.Http);
        var answer = await flow.RefreshAsync(new TestClient("my-secret-in-the-wrong-field", "x", ""), "x");
        var line = await LineOfAsync(answer.Headers.GetValues(Correlation.Header).Single());
        Assert.Contains("client_unknown (client , session , ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Id_on_an_error_page_is_in_the_log()
    {
        using var page = await app.Http.GetAsync(new Uri("/oauth/authorize?client_id=nobody-at-all", UriKind.Relative));
        var id = QuotedId().Match(await page.Content.ReadAsStringAsync()).Groups["id"].Value;
        Assert.Equal(32, id.Length);
        Assert.Contains("/oauth/authorize", await LineOfAsync(id), StringComparison.Ordinal);
    }

    /// <summary>A flood is counted in full, and fills no disk: what is left out of the log is told as a number.</summary>
    [Fact]
    public async Task Flood_of_refusals_leaves_a_limited_number_of_lines_and_says_how_many_it_left_out()
    {
        await using var replica = await app.StartReplicaAsync();
        using var counted = new MeterReading(replica.Get<RequestLog>().Meter);
        const int Sent = RefusalLines.OfOneKind + 80;
        await Parallel.ForEachAsync(Enumerable.Range(0, Sent), async (_, stop) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/gpt/echo", UriKind.Relative));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "forged");
            using var answer = await replica.Http.SendAsync(request, stop);
        });
        await Wait.UntilAsync(() => counted.Total == Sent);
        Assert.Equal(RefusalLines.OfOneKind, replica.Log.Lines.Count(line => line.Contains("token_forged", StringComparison.Ordinal)));

        replica.Clock.Advance(RefusalLines.Window);
        using var next = await replica.Http.GetAsync(new Uri("/gpt/echo", UriKind.Relative));
        var told = await Wait.ForAsync(() => replica.Log.Lines.FirstOrDefault(line => line.StartsWith("Warning 1052", StringComparison.Ordinal)));
        Assert.StartsWith("Warning 1052 80 more refusals of /gpt/{*path} for token_forged", told, StringComparison.Ordinal);
    }

    /// <summary>Many networks at once: there is a limit for all of them, and the memory that it takes has one.</summary>
    [Fact]
    public void Refusals_of_any_number_of_networks_are_limited_together()
    {
        var lines = new RefusalLines(app.Clock);
        var written = Enumerable.Range(0, 10_000).Count(number => lines.TryTake("/oauth/token", "client_unknown", $"10.0.{number / 250}.{number % 250}"));
        Assert.Equal(RefusalLines.OfAll, written);
        var left = Assert.Single(lines.End());
        Assert.Equal((10_000 - RefusalLines.OfAll, "client_unknown"), (left.Count, left.Reason));
        Assert.True(lines.TryTake("/oauth/token", "client_unknown", "10.0.0.1"));
    }

    /// <summary>JSON, one line each, with ids that programs can ask for.</summary>
    [Fact]
    public async Task Production_writes_one_json_line_for_each_request_and_few_for_probes()
    {
        const string TraceId = "0af7651916cd43dd8448eb211c80319c";
        await using var production = await AppProcess.StartAsync(
            app.Settings.With(
            [
                new("AZURE_FUNCTIONS_ENVIRONMENT", "Production"), new("PUBLIC_BASE_URL", "https://api.example.com"), new("RABBITMQ_URL", "amqp://127.0.0.1:1"),
                new("CLERK_ISSUER", "https://clerk.example.com"), new("CLERK_OAUTH_CLIENT_ID", "x"), new("CLERK_OAUTH_CLIENT_SECRET", Secret.New()),
                new("CLERK_AUTHORIZED_PARTIES", "https://app.example.com"),
            ]).ToFrozenDictionary(StringComparer.Ordinal));
        for (var probe = 0; probe < 30; probe++)
        {
            using var healthy = await production.Http.GetAsync(new Uri("/health", UriKind.Relative));
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/.well-known/jwks.json?q=private", UriKind.Relative));
        request.Headers.Add("traceparent", $"00-{TraceId}-b7ad6b7169203331-01");
        using var keys = await production.Http.SendAsync(request);
        var id = keys.Headers.GetValues(Correlation.Header).Single();
        using var page = await production.Http.GetAsync(new Uri("/oauth/authorize?client_id=nobody", UriKind.Relative));
        await Wait.UntilAsync(() => production.Output.Any(line => line.Contains("client_unknown", StringComparison.Ordinal)));

        Assert.DoesNotContain(production.Output, line => line.Contains("private", StringComparison.Ordinal));
        Assert.InRange(
            production.Output.Count(line => line.Contains("/health", StringComparison.Ordinal) || line.Contains("/ready", StringComparison.Ordinal)), 1, 3);
        var served = JsonDocument.Parse(Assert.Single(production.Output, line => line.Contains(id, StringComparison.Ordinal))).RootElement;
        Assert.Equal(1050, served.GetProperty("EventId").GetInt32());
        var state = served.GetProperty("State");
        Assert.Equal(
            ("/.well-known/jwks.json", "200", "ok", id),
            (state.GetProperty("Route").ToString(), state.GetProperty("Status").ToString(), state.GetProperty("Outcome").ToString(),
                state.GetProperty("CorrelationId").ToString()));
        Assert.Contains(served.GetProperty("Scopes").EnumerateArray(), scope => scope.ToString().Contains(id, StringComparison.Ordinal));
        Assert.Contains(TraceId, served.GetProperty("Scopes").ToString(), StringComparison.Ordinal);
        Assert.All(production.Output.Where(line => line.StartsWith('{')), line => JsonDocument.Parse(line).Dispose());
        Assert.Contains(production.Output, line => line.Contains("\"Reason\":\"client_unknown\"", StringComparison.Ordinal));
    }

    /// <summary>Whoever has a query or an alert on an event id means one line of the program.</summary>
    [Fact]
    public void Event_ids_are_unique()
    {
        var ids = typeof(RequestLog).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>()).OfType<LoggerMessageAttribute>().Select(message => message.EventId)
            .ToList();
        Assert.True(ids.Count > 50);
        Assert.All(ids, id => Assert.InRange(id, 1000, 9999));
        Assert.Equal(ids.Distinct().Order(), ids.Order());
    }

    [Fact]
    public void Document_lists_every_reason()
    {
        var rows = ReasonRow().Matches(File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "docs", "refusals.md")));
        Assert.Equal(
            Enum.GetValues<RefusalReason>().Select(reason => reason.Text()).Order(StringComparer.Ordinal),
            rows.Select(row => row.Groups["reason"].Value).Order(StringComparer.Ordinal));
    }

    /// <summary>Whoever adds a code of the gateway or an outcome of a webhook adds its reason, and who refuses with a problem document gives one.</summary>
    [Fact]
    public void Every_code_and_outcome_of_a_refusal_is_a_reason()
    {
        var program = Path.Combine(TestServices.RepositoryRoot, "GptFunctions");
        Assert.All(
            Directory.EnumerateDirectories(program).Where(room => Path.GetFileName(room) is not ("Hosting" or "bin" or "obj"))
                .SelectMany(room => Directory.EnumerateFiles(room, "*.cs")),
            file => Assert.DoesNotContain("Problem.Result(", File.ReadAllText(file), StringComparison.Ordinal));
        string[] folders = [Path.Combine(program, "Gateway"), Path.Combine(program, "Webhooks")];
        var codes = folders.SelectMany(folder => Directory.EnumerateFiles(folder, "*.cs")).SelectMany(file => Code().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["code"].Value)
            .ToList();
        Assert.Superset(new HashSet<string> { "GATEWAY_BUSY", "in_progress", "too_late", "malformed" }, codes.ToHashSet(StringComparer.Ordinal));
        Assert.All(codes, code => Assert.NotEqual(RefusalReason.Other, RefusalReasons.Of(code)));
    }

    private Task<string> LineOfAsync(string correlationId) =>
        Wait.ForAsync(() => app.Log.Lines.SingleOrDefault(line => line.Contains(correlationId, StringComparison.Ordinal)));

    [GeneratedRegex("<code>(?<id>[^<]+)</code>", RegexOptions.None, 1000)]
    private static partial Regex QuotedId();

    [GeneratedRegex("""Code = "(?<code>[A-Z_]+)"|(?:new|Refusal)\(\s*"(?<code>[a-z_]+)",\s*StatusCodes\.Status[45]""", RegexOptions.None, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"^\| `(?<reason>[a-z_]+)` \|", RegexOptions.Multiline, 1000)]
    private static partial Regex ReasonRow();
}
