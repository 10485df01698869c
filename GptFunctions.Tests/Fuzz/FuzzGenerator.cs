using System.Globalization;
using System.Text;
using System.Text.Json;
using GptFunctions.Gateway;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using GptFunctions.Tokens;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Fuzz;

/// <param name="Octets">As Latin-1.</param>
/// <param name="IsBroken">Perhaps no request at all.</param>
/// <param name="MeetsBadUpstream">Goes to an upstream that answers with nonsense.</param>
internal sealed record FuzzRequest(string Octets, bool IsBroken, bool MeetsBadUpstream)
{
    public bool MayBeBrokenOff => IsBroken || MeetsBadUpstream;

    /// <summary>
    /// No error of ours; the gateway's 502 and 504 for a bad upstream, and whatever that says; of the web server 501 and 505 for framings and
    /// versions that it does not know.
    /// </summary>
    public bool Allows(int status) => status is >= 200 and < 500 || (MeetsBadUpstream && status != 503) || (IsBroken && status is 501 or 505);

    public override string ToString() =>
        Octets.Length > 3000 ? $"{JsonSerializer.Serialize(Octets[..3000])} and {Octets.Length - 3000} octets more" : JsonSerializer.Serialize(Octets);
}

/// <summary>Makes requests from a random number generator: the same from the same.</summary>
/// <param name="user">Calls the gateway.</param>
/// <param name="others">Their sessions may end.</param>
internal sealed class FuzzGenerator(TestApp app, GatewayUser user, GatewayUser[] others)
{
    private static readonly string[] Methods = ["GET", "GET", "GET", "POST", "POST", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

    private static readonly string[] Parameters =
    [
        "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "resource", "code_challenge", "code_challenge_method",
        "nonce", "prompt", "continue", "request", "csrf", "decision", "disconnect",
        "grant_type", "code", "code_verifier", "refresh_token", "client_secret", "token", "token_type_hint", "access_token", "user_id", "limit",
        "after", "iss", "error", "query", "id",
    ];

    private static readonly string[] HeaderNames =
    [
        "Accept", "Accept-Encoding", "Accept-Language", "Cookie", "Origin", "Referer", "User-Agent", "If-None-Match", "Range", "x-correlation-id",
        "traceparent", "tracestate", "x-request-id", "Idempotency-Key", "mcp-session-id",
        "x-internal-id", "X_User_Role", "x-forwarded-for", "x-forwarded-host", "X-Real-IP", "Expect", "Upgrade", "TE", "X-HTTP-Method-Override",
        "svix-id", "Stripe-Signature", "X-Signature", "Last-Event-ID", "Content-Language", "Via",
    ];

    private static readonly string[] ContentTypes =
    [
        "application/x-www-form-urlencoded", "application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain",
        "multipart/form-data; boundary=x", "multipart/form-data", "application/octet-stream", "nonsense", "",
        "application/x-www-form-urlencoded; charset=\"",
    ];

    private static readonly string[] Names =
    [
        "type", "data", "id", "object", "email_addresses", "email_address", "updated_at", "banned", "locked", "created", "customer", "status",
        "metadata", "userId", "plan", "items", "price", "client_reference_id",
        "event", "order_id", "customer_id", "redirect_uris", "client_name", "scopes", "token_endpoint_auth_method", "grant_types", "first_name",
        "public_metadata", "subscription", "mode", "payment_status", "lines", "approve", "request", "decision",
    ];

    private static readonly string[] Types =
    [
        "user.created", "user.updated", "user.deleted", "session.ended", "checkout.session.completed", "customer.subscription.updated",
        "customer.subscription.deleted", "invoice.paid", "invoice.payment_failed",
        "order.paid", "verification.completed", "v1.billing.meter.error_report_triggered", "nobody.handles",
    ];

    private static readonly string[] Sizes = [
        "ffffffffffffffff", "fffffffffffffffffffffffff", "7fffffff", "80000000", "-1", "0x5", "5;a=b", "g", "", " ", "00000000000000000000005",
    ];

    /// <summary>One route leads to all of them; each signs in its own way.</summary>
    private static readonly IEnumerable<(string Path, string[] Methods)> Senders =
        [.. ((string[])["clerk", "stripe", "orders", "verification"]).Select(name => ("/webhooks/" + name, (string[])["POST"]))];

    private readonly (string Path, string[] Methods)[] routes = [.. FunctionCatalog.Find(
        [typeof(GatewayFunctions).Assembly], new ConfigurationBuilder().Build())
        .Select(function => function.Trigger).OfType<HttpTriggerAttribute>().Select(trigger => ("/" + trigger.Route, trigger.Methods!))
        .OrderBy(route => route.Item1, StringComparer.Ordinal)
        .Concat(
            [
                ("/gpt/good", ["GET", "POST", "PUT", "HEAD", "DELETE"]), ("/gpt/good", ["POST"]), ("/gpt/items/{id}", ["GET", "POST"]),
                ("/gpt/bad", ["GET", "POST", "HEAD"]), ("/gpt/badopen", ["GET", "POST", "HEAD"]), ("/", ["GET"]), .. Senders,
            ])];

    public FuzzRequest Next(Random random, bool isBroken)
    {
        var octets = WellFormed(random);
        var isBad = octets.Contains("/gpt/bad", StringComparison.Ordinal);
        return new FuzzRequest(isBroken ? Mutate(random, octets) : octets, isBroken, isBad);
    }

    /// <summary>An upstream that answers as it should.</summary>
    public static async Task<bool> AnswerWellAsync(RawExchange exchange)
    {
        await exchange.ReadBodyAsync();
        await exchange.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n" + (exchange.Method == "HEAD" ? "" : "good"));
        return true;
    }

    /// <summary>One that answers with all sorts of things, and perhaps closes then.</summary>
    public static async Task<bool> AnswerBadlyAsync(RawExchange exchange)
    {
        await exchange.ReadBodyAsync();
        var random = new Random(exchange.Target.Length + exchange.Head.Length);
        var body = Text(random);
        var answer =
            $"HTTP/1.1 {Pick(random, ["200", "201", "204", "205", "206", "302", "304", "401", "404", "101", "103"])} Whatever\r\n"
                + $"Content-Type: {Pick(random, [.. ContentTypes, "text/event-stream"])}\r\n"
            + $"{Pick(random, HeaderNames)}: {Text(random)}\r\nLocation: {Text(random)}\r\nCache-Control: "
            + $"{Pick(random, ["public", "private=\"a\", s-maxage=1", ",,,", Text(random)])}\r\n"
            + Pick(
                random,
                [
                    $"Content-Length: {body.Length}\r\n\r\n{body}", $"Transfer-Encoding: chunked\r\n\r\n{body.Length:x}\r\n{body}\r\n0\r\n\r\n",
                    $"Connection: close\r\n\r\n{body}", $"Content-Encoding: gzip\r\n\r\n{body}",
                ]);
        await exchange.SendAsync(random.Next(3) == 0 ? answer : Mutate(random, answer));
        return random.Next(4) == 0;
    }

    private string WellFormed(Random random)
    {
        var (route, listed) = routes[random.Next(routes.Length)];
        var method = random.Next(5) == 0 ? Pick(random, Methods) : Pick(random, listed).ToUpperInvariant();
        var target = new StringBuilder(
            string.Join(
                '/',
                route.Split('/').Select(
                    segment =>
                        segment.StartsWith("{*", StringComparison.Ordinal) ? Encoded(random, "/") : segment.StartsWith('{') ? Encoded(random, "") : segment)));
        target.Append(random.Next(10) == 0 ? Pick(random, ["/", "//", "/..", "/%2e%2e/x", "%00", ";a=b", "/" + Encoded(random, "/")]) : "");
        target.Append(random.Next(2) == 0 ? "?" + Form(random) : "");

        var isWebhook = route.Contains("webhooks", StringComparison.Ordinal);
        var body = method is "GET" or "HEAD" or "TRACE" && random.Next(10) > 0 ? null
            : isWebhook || random.Next(2) == 0 ? Json(random, 0)
            : random.Next(2) == 0 ? Form(random)
            : Text(random);
        var head = new StringBuilder($"{method} {target} HTTP/1.1\r\n");
        var host = random.Next(15) == 0 ? Pick(random, ["a..b", "..", "x:99999", "[::1", "xn--", "a b", "\u00e9", "-", new string('a', 300)]) : "127.0.0.1";
        head.Append(CultureInfo.InvariantCulture, $"Host: {host}\r\n");
        head.Append(Authorization(random, route)).Append(isWebhook && body is not null ? Signature(random, route, body) : "");
        for (var count = random.Next(4); count > 0; count--)
        {
            head.Append(CultureInfo.InvariantCulture, $"{Pick(random, HeaderNames)}: {FieldValue(random)}\r\n");
        }

        if (body is null)
        {
            return head.Append("\r\n").ToString();
        }

        var fitting = body.StartsWith('{') ? "application/json" : "application/x-www-form-urlencoded";
        var type = isWebhook || random.Next(3) > 0 ? fitting : Pick(random, ContentTypes);
        head.Append(CultureInfo.InvariantCulture, $"Content-Type: {type}\r\n");
        var octets = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(body));
        return random.Next(4) == 0 && octets.Length > 1
            ? head.Append(
                CultureInfo.InvariantCulture,
                $"Transfer-Encoding: chunked\r\n\r\n1\r\n{octets[..1]}\r\n{octets.Length - 1:x}\r\n{octets[1..]}\r\n0\r\n\r\n").ToString()
            : head.Append(CultureInfo.InvariantCulture, $"Content-Length: {octets.Length}\r\n\r\n{octets}").ToString();
    }

    private string Authorization(Random random, string route) => random.Next(8) switch
    {
        < 4 => $"Authorization: Bearer {(route.StartsWith("/gpt/", StringComparison.Ordinal) ? user : others[random.Next(others.Length)]).Token}\r\n",
        4 => $"Authorization: Basic {Base64($"{app.Settings["GPT_CLIENT_ID"]}:{app.Settings["GPT_CLIENT_SECRET"]}")}\r\n",
        5 => $"Authorization: {Pick(random, ["Basic", "Bearer", "bearer", "DPoP", ""])} {FieldValue(random)}\r\n",
        6 => $"Authorization: Bearer {string.Join('.', Enumerable.Range(0, 3).Select(_ => Base64Url(Json(random, 1))))}\r\n",
        _ => "",
    };

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string Base64Url(string text) => Base64(text).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    private static string Signature(Random random, string route, string body)
    {
        if (random.Next(5) == 0)
        {
            return "";
        }

        return route switch
        {
            var path when path.Contains("clerk", StringComparison.Ordinal) =>
                string.Concat(WebhookSender.SvixHeaders($"msg_{random.Next()}", body).Select(header => $"{header.Item1}: {header.Item2}\r\n")),
            var path when path.Contains("stripe", StringComparison.Ordinal) => $"Stripe-Signature: {WebhookSender.StripeHeader(body)}\r\n",
            var path when path.Contains("orders", StringComparison.Ordinal) => $"X-Signature: {WebhookSender.Hex(WebhookSender.OrdersSecret, body)}\r\n",
            _ => $"X-HMAC-Signature: {WebhookSender.Hex(WebhookSender.VerificationSecret, body)}\r\n",
        };
    }

    private static string Json(Random random, int depth)
    {
        var members = Enumerable.Range(0, random.Next(1, 8)).Select(_ => $"\"{Pick(random, Names)}\":{Value()}").Append($"\"type\":\"{Pick(random, Types)}\"")
            .Append($"\"id\":\"evt_{random.Next()}\"");
        return $"{{{string.Join(',', members)}}}";

        string Value() => random.Next(9) switch
        {
            0 or 1 when depth < 4 => Json(random, depth + 1),
            2 when depth < 4 => $"[{Json(random, depth + 1)}]",
            3 => Pick(random, ["null", "true", "-1", "1e400", "99999999999999999999", "1753000000", "0.1", "253402300800000", "-9223372036854775808"]),
            4 => Pick(random, ["\"\\ud800\"", "\"\\u0000\"", "\"\\udc00x\"", "\"\"", "\"https://example.com/callback\"", "\"active\"", "\"user_1\""]),
            _ => JsonSerializer.Serialize(Text(random)),
        };
    }

    private string Form(Random random) =>
        string.Join(
            '&',
            Enumerable.Range(0, random.Next(1, 8)).Select(_ => Pick(random, Parameters))
                .Select(name => name + "=" + (random.Next(3) == 0 ? Encoded(random, "") : name switch
                {
                    "client_id" => app.Settings["GPT_CLIENT_ID"],
                    "client_secret" => Uri.EscapeDataString(app.Settings["GPT_CLIENT_SECRET"]!),
                    "redirect_uri" => Uri.EscapeDataString(app.Settings["GPT_REDIRECT_URI"]!),
                    "response_type" => "code",
                    "scope" => "jobs:read",
                    "resource" => Uri.EscapeDataString(app.BaseUrl + "/gpt"),
                    "code_challenge" => new string('a', 43),
                    "code_challenge_method" => "S256",
                    "grant_type" => Pick(random, ["authorization_code", "refresh_token"]),
                    "token" => others[random.Next(others.Length)].Token,
                    "continue" or "request" or "after" => Guid.NewGuid().ToString(random.Next(2) == 0 ? "N" : "D"),
                    "limit" => random.Next(-5, 200).ToString(CultureInfo.InvariantCulture),
                    _ => "x",
                })));

    private static string Encoded(Random random, string kept) => random.Next(4) == 0
        ? Pick(
            random,
            [
                "%00", "%0a", "%", "%zz", "%c3%28", "%ed%a0%80", "%ff", "%f4%90%80%80", "%u0041", "%25%32%65", "..", ".", "%5c", "%2F", "+",
                "%EF%BF%BE", "~", "a%20b", "'", "%22", "%27%3b--",
            ])
        : string.Join(kept.Length > 0 ? kept : "%2F", Uri.EscapeDataString(Text(random)).Split("%2F"));

    /// <summary>A field value that HTTP allows: visible characters, octets above ASCII.</summary>
    private static string FieldValue(Random random) =>
        string.Concat(Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(Text(random))).Where(character => character is '\t' or (>= ' ' and not '\x7f'))).Trim();

    private static string Text(Random random) => random.Next(12) switch
    {
        0 => "",
        1 => new string((char)random.Next(' ', '~'), random.Next(3000)),
        2 => string.Concat(
            Enumerable.Range(0, random.Next(20)).Select(
                _ => char.ConvertFromUtf32(random.Next(2) == 0 ? random.Next(0x20, 0xd800) : random.Next(0xe000, 0x110000)))),
        3 => string.Concat(Enumerable.Range(0, random.Next(20)).Select(_ => (char)random.Next(0, 0x80))),
        4 => Pick(
            random,
            [
                "0", "-1", "NaN", "null", "true", "1e9", "00000000-0000-0000-0000-000000000000", "9223372036854775808", "2026-13-45", "gzip", "close",
                "bytes=0-", "bytes=-", "*", "\"", "W/\"a\"", "http://[", "//", "\\\\",
            ]),
        _ => Pick(
            random,
            ["user_1", "jobs:read", "https://example.com/", "x", "http://localhost:1/", "abc def", "S256", "active", "plain", "a=b; c=d", "Basic eDp5"]),
    };

    private static string Mutate(Random random, string octets)
    {
        for (var count = random.Next(1, 4); count > 0 && octets.Length > 0; count--)
        {
            var at = random.Next(octets.Length);
            octets = random.Next(14) switch
            {
                0 => octets[..at] + (char)random.Next(256) + octets[(at + 1)..],
                1 => octets.Insert(at, ((char)random.Next(32)).ToString()),
                2 => octets.Remove(at, random.Next(octets.Length - at)),
                3 => octets[..at],
                4 => octets + octets,
                5 => octets.Replace("\r\n", "\n", StringComparison.Ordinal),
                6 => octets.Replace(
                    "HTTP/1.1", Pick(random, ["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", "HTTP/11.1", ""]),
                    StringComparison.Ordinal),
                7 => octets.Replace(
                    "Content-Length: ", "Content-Length: " + Pick(random, ["-", "+", "0x", "9", "99999999999", "1, ", " ", "\0"]),
                    StringComparison.Ordinal),
                8 => octets.Replace("Content-Length:", "Transfer-Encoding: chunked\r\nContent-Length:", StringComparison.Ordinal),
                9 => octets.Replace(
                    "Content-Length:",
                    $"Transfer-Encoding: {Pick(random, ["gzip", "identity", "chunked, chunked", "xchunked", "chunked\r\nTransfer-Encoding: chunked"])}\r\nX:",
                    StringComparison.Ordinal),
                10 => octets.Replace("chunked\r\n\r\n1\r\n", "chunked\r\n\r\n" + Pick(random, Sizes) + "\r\n", StringComparison.Ordinal),
                11 => octets.Replace(
                    "\r\nHost:",
                    "\r\n" + Pick(
                        random,
                        [
                            "Host: b\r\nHost:", "Host :", " Host:", "X: " + new string('a', 40_000) + "\r\nHost:",
                            string.Concat(Enumerable.Range(0, 120).Select(name => $"x{name}: 1\r\n")) + "Host:",
                            "X-Hop: 1\r\nConnection: close, x-hop\r\nHost:",
                        ]),
                    StringComparison.Ordinal),
                12 => octets.Insert(
                    Math.Max(0, octets.IndexOf(' ', StringComparison.Ordinal) + 1),
                    Pick(random, ["http://x", "//", "*", "", new string('a', 10_000), "\0", "\u00ff", " "])),
                _ => octets.Insert(at, string.Concat(Enumerable.Range(0, random.Next(64)).Select(_ => (char)random.Next(256)))),
            };
        }

        return octets;
    }

    private static string Pick(Random random, string[] items) => items[random.Next(items.Length)];
}
