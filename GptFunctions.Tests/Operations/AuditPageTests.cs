using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 11 and 12: the trail is narrowed by its link, paged by key, and taken out as a stream that says so.</summary>
public sealed partial class AuditPageTests(OperationsFixture<AuditPageTests> fixture) : IClassFixture<OperationsFixture<AuditPageTests>>, IAsyncLifetime
{
    private const string Page = "/operations/audit";
    private const int LongRows = 20_000;
    private readonly TestApp app = fixture.App;

    /// <summary>Events of three days in January, of which many have the same time.</summary>
    public async Task InitializeAsync()
    {
        if (await app.Database.CountAsync("gpt_oauth_events", "source = 'test'") > 0)
        {
            return;
        }

        await app.Database.ExecuteAsync("""
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, metadata, source, occurred_at)
            SELECT gen_random_uuid(), CASE WHEN n % 10 = 0 THEN 'gpt.operator.session_ended' ELSE 'gpt.test.listed' END, 'user_' || n % 2, 'app-' || n % 3,
                   CASE WHEN n <= 4 THEN 'session-1' END, 'request-' || n, jsonb_build_object('number', n), 'test',
                   timestamptz '2026-01-01T00:00Z' + n / 50 * interval '1 day'
            FROM generate_series(0, 129) n
            """);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Theory]
    [InlineData("", 130)]
    [InlineData("user=user_1", 65)]
    [InlineData("app=app-0", 44)]
    [InlineData("session=session-1", 5)]
    [InlineData("type=gpt.test.listed", 117)]
    [InlineData("type=gpt.operator.*", 13)]
    [InlineData("type=gpt.operator.session_ended&user=user_0", 13)]
    [InlineData("type=gpt.operator.session_ended&user=user_1", 0)]
    [InlineData("correlation=request-77", 1)]
    [InlineData("since=2026-01-02", 80)]
    [InlineData("until=2026-01-02T00:00Z", 50)]
    [InlineData("since=2026-01-02&until=2026-01-03&app=app-1&user=user_1", 8)]
    [InlineData("since=3650d&user=user_0", 65)]
    [InlineData("after=nonsense", 130)]
    [InlineData("user=%25", 0)]
    public async Task List_is_narrowed_by_each_filter_and_paged_by_key_without_loss_or_repetition(string filter, int count)
    {
        var until = filter?.Contains("until=", StringComparison.Ordinal) == true ? filter : filter + "&until=2026-02-01";
        var seen = await OperationsFixture<AuditPageTests>.WalkAsync(await SignInAsync(false), $"{Page}?{until}", Row());
        Assert.Equal((count, count), (seen.Count, seen.Distinct().Count()));
        Assert.Equal(seen.OrderByDescending(Day).Select(Day), seen.Select(Day));

        static int Day(string number) => int.Parse(number, CultureInfo.InvariantCulture) / 50;
    }

    [Theory]
    [InlineData("since=yesterday-ish")]
    [InlineData("until=2026-13-01")]
    public async Task Time_that_is_none_is_a_sentence(string filter)
    {
        using var refused = await (await SignInAsync(false)).GetAsync($"{Page}?{filter}");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        var field = filter?.StartsWith("since", StringComparison.Ordinal) == true ? "From" : "Until";
        Assert.Contains($"{field} is no time", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Export_as_csv_has_what_matches_quotes_formulas_and_is_told_once()
    {
        await app.Database.ExecuteAsync("""
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, client_id, session_id, correlation_id, ip_address, metadata, source,
                                          occurred_at)
            VALUES (gen_random_uuid(), 'gpt.test.formula', '=1+1', '+app', '-session', '@SUM(A1)', E'\tcmd', '{"a": "x,\"y\"\nz"}',
                    'formulas', '2026-01-05T12:00:00.5Z'),
                   (gen_random_uuid(), 'gpt.test.formula', 'user_plain', NULL, E'a\r\nb', 'a"b', NULL, '{}', 'formulas', '2026-01-05T13:00Z')
            """);
        using var export = await ExportAsync("type=gpt.test.formula&since=2026-01-01", "csv");
        Assert.Equal("text/csv; charset=utf-8", export.Content.Headers.ContentType!.ToString());
        Assert.Matches("^attachment; filename=.?audit-[0-9]{8}-[0-9]{6}[.]csv", export.Content.Headers.ContentDisposition!.ToString());
        Assert.True(export.Headers.CacheControl!.NoStore);
        var lines = (await export.Content.ReadAsStringAsync()).Split("\r\n", StringSplitOptions.None);
        Assert.Equal("occurred_at,event_id,event_type,clerk_user_id,client_id,session_id,correlation_id,ip_address,metadata", lines[0]);
        Assert.Matches(
            """^2026-01-05T12:00:00\.500000Z,[0-9a-f-]{36},gpt\.test\.formula,"'=1\+1","'\+app","'-session","'@SUM\(A1\)","'\tcmd",""", lines[1]);
        Assert.EndsWith("""
            ,"{""a"": ""x,\""y\""\nz""}"
            """, lines[1], StringComparison.Ordinal);
        Assert.Contains(",gpt.test.formula,user_plain,,\"a", lines[2], StringComparison.Ordinal);
        Assert.Equal("b\",\"a\"\"b\",,{}", lines[3]);
        Assert.Equal(["gpt.test.formula"], await ExportsAsync("gpt.test.formula", "csv"));
    }

    [Fact]
    public async Task Export_as_json_lines_has_every_matching_event_oldest_first()
    {
        using var export = await ExportAsync("app=app-1&until=2026-02-01", "jsonl");
        Assert.Equal("application/jsonl", export.Content.Headers.ContentType!.ToString());
        var rows = (await export.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))
            .ToList();
        Assert.Equal(43, rows.Count);
        Assert.Equal(43, rows.Select(row => row.GetProperty("metadata").GetProperty("number").GetInt32()).Distinct().Count());
        Assert.All(rows, row => Assert.Equal("app-1", row.GetProperty("client_id").GetString()));
        Assert.Equal(
            rows.Select(row => row.GetProperty("occurred_at").GetDateTimeOffset()).Order(),
            rows.Select(row => row.GetProperty("occurred_at").GetDateTimeOffset()));
    }

    [Fact]
    public async Task Export_of_a_form_without_a_format_is_refused()
    {
        var form = OperationsFixture<AuditPageTests>.ActionForm(
            await OperationsFixture<AuditPageTests>.ReadAsync(await SignInAsync(true), Page + "?confirm=export"));
        using var wrongSession = await (await SignInAsync(true)).PostAsync(form.Path, [.. form.Fields, ("format", "xlsx")]);
        Assert.Equal(HttpStatusCode.Forbidden, wrongSession.StatusCode);

        using var refused = await OperationsFixture<AuditPageTests>.DoAsync(
            await SignInAsync(true), Page + "?confirm=export&type=gpt.test.formula", ("format", "xlsx"), ("reason", "for <the> auditor"));
        var html = await refused.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(
            "<p class=\"problem\" id=\"format-problem\" role=\"alert\">Nothing was changed. The format must be csv or "
                + "jsonl.</p>", html, StringComparison.Ordinal);
        Assert.Contains("name=\"reason\" value=\"for &lt;the&gt; auditor\"", html, StringComparison.Ordinal);
        Assert.Contains(("type", "gpt.test.formula"), OperationsFixture<AuditPageTests>.ActionForm(html).Fields);
    }

    /// <summary>However much it is: a thousand rows at a time, and no further row once nobody reads.</summary>
    [Fact]
    public async Task Export_holds_little_at_a_time_and_stops_when_the_reader_goes()
    {
        await app.Database.ExecuteAsync($$"""
            INSERT INTO gpt_oauth_events (event_id, event_type, clerk_user_id, metadata, source, occurred_at)
            SELECT gen_random_uuid(), 'gpt.test.long', 'user_long', jsonb_build_object('text', repeat('x', 2000)), 'long',
                   timestamptz '2026-03-01Z' + n * interval '1 ms'
            FROM generate_series(1, {{LongRows}}) n
            """);
        var (service, filter) = (app.Get<AuditSearchService>(), new AuditFilter { Type = "gpt.test.long" });
        var occasion = Occasion.OfCommand(app.Clock.GetUtcNow(), "command");
        await using var reader = new Measure(int.MaxValue);
        Assert.Equal(LongRows, await service.ExportAsync(filter, AuditFormat.Jsonl, reader, OperatorActs.Test, occasion, CancellationToken.None));
        Assert.Equal(LongRows, reader.Lines);
        Assert.InRange(reader.Largest, 1, 4_000_000); // a thousand rows

        await using var gone = new Measure(3_000_000);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => service.ExportAsync(filter, AuditFormat.Jsonl, gone, OperatorActs.Test, occasion, gone.Gone.Token));
        Assert.InRange(gone.Lines, 1, 3000);

        var before = await ReadsAsync();
        var requests = app.Log.Lines.Count;
        using (var export = await ExportAsync("type=gpt.test.long", "jsonl", HttpCompletionOption.ResponseHeadersRead))
        {
            await (await export.Content.ReadAsStreamAsync()).ReadExactlyAsync(new byte[100_000]);
            Assert.True(export.Headers.TransferEncodingChunked);
        }

        // Other requests are served meanwhile; the export comes to its end without an error, and far from the last row.
        await OperationsFixture<AuditPageTests>.ReadAsync(await SignInAsync(false), Page + "?user=user_1");
        var reads = -1L;
        await Wait.UntilAsync(async () =>
        {
            var (last, now) = (reads, await ReadsAsync());
            reads = now;
            return last == now && now > before;
        });
        Assert.InRange(reads - before, 1, (LongRows / 1000) - 1);
        Assert.DoesNotContain(app.Log.Lines.Skip(requests), line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    private Task<long> ReadsAsync() => app.Database.ScalarAsync<long>("""
        SELECT coalesce(sum(calls), 0)::bigint
        FROM pg_stat_statements
        WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query LIKE '%FROM gpt_oauth_events%ORDER BY occurred_at, event_id%'
        """);

    private Task<TestBrowser> SignInAsync(bool isOperator) =>
        fixture.SignInAsync(isOperator ? OperationsFixture<AuditPageTests>.Operator : OperationsFixture<AuditPageTests>.Viewer);

    /// <summary>By the form that the page gives, with the filters in its link.</summary>
    private async Task<HttpResponseMessage> ExportAsync(
        string filter, string format, HttpCompletionOption completion = HttpCompletionOption.ResponseContentRead)
    {
        var browser = await SignInAsync(true);
        var form = OperationsFixture<AuditPageTests>.ActionForm(await OperationsFixture<AuditPageTests>.ReadAsync(browser, $"{Page}?{filter}&confirm=export"));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(form.Path, UriKind.Relative));
        request.Headers.Add("Cookie", string.Join("; ", browser.Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}")));
        request.Content = new StringContent(
            OAuthFlow.Query([.. form.Fields, ("format", format), ("reason", "an audit")]).TrimStart('?'), Encoding.ASCII, "application/x-www-form-urlencoded");
        var export = await app.Http.SendAsync(request, completion);
        Assert.Equal(HttpStatusCode.OK, export.StatusCode);
        return export;
    }

    private async Task<string[]> ExportsAsync(string type, string format)
    {
        await Wait.UntilAsync(async () => await app.Database.CountAsync("outbox_messages") == 0);
        return (await app.Database.ScalarAsync<string[]>("""
            SELECT array_agg(metadata ->> 'of_type')
            FROM gpt_oauth_events
            WHERE event_type = 'gpt.operator.audit_exported' AND metadata ->> 'operator' = 'user_operator' AND metadata ->> 'reason' = 'an audit'
                  AND metadata ->> 'of_type' = $1 AND metadata ->> 'format' = $2
            """, type, format))!;
    }

    [GeneratedRegex("number: (?<row>[0-9]+)<", RegexOptions.None, 1000)]
    private static partial Regex Row();

    /// <summary>Counts what is written, and goes away after so many bytes.</summary>
    private sealed class Measure(int patience) : MemoryStream
    {
        private long total;

        public int Lines { get; private set; }

        public int Largest { get; private set; }

        public CancellationTokenSource Gone { get; } = new();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            (Largest, Lines, total) = (Math.Max(Largest, buffer.Length), Lines + buffer.Span.Count((byte)'\n'), total + buffer.Length);
            if (total > patience)
            {
                await Gone.CancelAsync();
            }
        }
    }
}
