using System.Net;
using System.Text;
using GptFunctions.Audit;
using GptFunctions.Tests.Support;
using Npgsql;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 1 to 11, the way through a real broker: outbox -> relay -> queue -> trigger -> audit trail.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class AuditTrailTests : IAsyncLifetime
{
    private TestApp app = null!;
    private TestBroker broker = null!;
    private OAuthFlow flow = null!;

    private TestDatabase Database => app.Database;

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        var database = await TestDatabase.CreateAsync(nameof(AuditTrailTests));
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal) { ["RABBITMQ_URL"] = broker.Url, ["OUTBOX_RELAY"] = "true" };
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters); // what an earlier run left
        var (exitCode, output, error) = await AppProcess.RunAsync(TestApp.DefaultSettings(database.Url, 0).With(settings), "setup");
        Assert.True(exitCode == 0, output + error);
        app = await TestApp.StartAsync(database, settings);
        flow = new OAuthFlow(app.Http);
    }

    public async Task DisposeAsync()
    {
        await app.DisposeAsync();
        await broker.DisposeAsync();
    }

    [Fact]
    public async Task Whole_flow_leaves_one_row_for_each_change_in_its_order()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        var tokens = await flow.TokensAsync(client, "user_order");
        await flow.RevokeAsync(client, (await flow.RefreshAsync(client, tokens["refresh_token"]!))["refresh_token"]!);

        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_order'") == 5);
        var types = (
            await Database.ScalarAsync<string[]>(
                "SELECT array_agg(event_type ORDER BY recorded_at) FROM gpt_oauth_events WHERE clerk_user_id = 'user_order'"))!;
        Assert.Equal(
            ["gpt.oauth.signed_in", "gpt.oauth.authorize", "gpt.oauth.token_exchanged", "gpt.oauth.token_refreshed", "gpt.oauth.session_revoked"],
            types);
        await Wait.UntilAsync(async () => await Database.CountAsync("outbox_messages") == 0); // the broker hands a message on before it says that it has it
        Assert.Equal(
            5,
            await Database.CountAsync(
                "gpt_oauth_events",
                $"clerk_user_id = 'user_order' AND client_id = '{client.Id}' AND ip_address = '127.0.0.1' AND correlation_id <> '' AND source = "
                    + "'gpt-functions'"));
    }

    /// <summary>Rows of several processes, whose clocks disagree: what counts is which was written first.</summary>
    [Fact]
    public async Task Events_leave_in_the_order_in_which_they_were_written()
    {
        await Database.ExecuteAsync("""
            INSERT INTO outbox_messages (event_id, routing_key, occurred_at, envelope)
            SELECT id, 'gpt.action.test', at, event_envelope(id, 'gpt.action.test', at, 'c', jsonb_build_object('clerk_user_id', 'user_clocks',
                'number', number))
            FROM generate_series(1, 700) number, LATERAL (SELECT now() - number * interval '1 second' AS at) past,
                LATERAL (SELECT uuid_v7(at) AS id) made ORDER BY number
            """);
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_clocks'") == 700);
        Assert.Equal(
            Enumerable.Range(1, 700),
            (await Database.ScalarAsync<int[]>(
                "SELECT array_agg((metadata ->> 'number')::int ORDER BY recorded_at) FROM gpt_oauth_events WHERE clerk_user_id = 'user_clocks'"))!);
    }

    [Fact]
    public async Task Same_message_twice_is_one_row()
    {
        var id = Guid.CreateVersion7();
        var message = Envelope(id, "user_twice");
        await broker.PublishAsync(AuditSettings.Queue, message);
        await broker.PublishAsync(AuditSettings.Queue, message);
        await broker.PublishAsync(AuditSettings.Queue, Envelope(Guid.CreateVersion7(), "user_after"));
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_after'") == 1);
        Assert.Equal(1, await Database.CountAsync("gpt_oauth_events", $"event_id = '{id}'"));
    }

    [Theory]
    [InlineData("{ this is not json", "not JSON")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("""{"event_id":"7","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z","payload":{}}""", "event_id is not a UUID")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"","timestamp":"2026-01-01T00:00:00Z","payload":{}}""",
        "event_type is missing")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"yesterday","payload":{}}""",
        "timestamp is not RFC 3339")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z","payload":[]}""",
        "payload is not an object")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z","payload":{"other":"\u0000"}}""",
        "PostgreSQL cannot store it: unsupported Unicode escape sequence")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.\u0000x","timestamp":"2026-01-01T00:00:00Z","payload":{}}""",
        "PostgreSQL cannot store it: invalid byte sequence for encoding \"UTF8\": 0x00")]
    [InlineData(
        """
        {"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z",
        "payload":{"client_id":"\ud800"}}
        """,
        "a text holds half a surrogate pair")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z","payload":{"other":"\ud800"}}""",
        "PostgreSQL cannot store it: invalid input syntax for type json")]
    [InlineData(
        """{"event_id":"0197b4a0-0000-7000-8000-000000000001","event_type":"gpt.oauth.x","timestamp":"2026-01-01T00:00:00Z","payload":{"number":1e999999}}""",
        "PostgreSQL cannot store it: value overflows numeric format")]
    public async Task Message_that_is_no_event_goes_to_quarantine_as_it_came(string message, string reason)
    {
        await broker.PublishAsync(AuditSettings.Queue, message);
        await Wait.UntilAsync(async () => await Database.CountAsync("audit_quarantine", $"reason = '{reason}'") == 1);
        Assert.Equal(Encoding.UTF8.GetBytes(message), await Database.ScalarAsync<byte[]>($"SELECT message FROM audit_quarantine WHERE reason = '{reason}'"));
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.DeadLetters));
    }

    /// <summary>No text of a caller's can keep the event about him out of the trail.</summary>
    [Theory]
    [InlineData("user_escaped", "\\u0000")]
    [InlineData("user_quotes", "\"}';--")]
    [InlineData("user_wide", "\ud83d\ude00\u2028")]
    public async Task Odd_text_is_recorded_as_it_is(string user, string text)
    {
        var escaped = System.Text.Json.JsonSerializer.Serialize(text);
        await broker.PublishAsync(
            AuditSettings.Queue,
            Envelope(Guid.CreateVersion7(), user).Replace("\"payload\":{", $"\"payload\":{{\"text\":{escaped},", StringComparison.Ordinal));
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", $"clerk_user_id = '{user}'") == 1);
        Assert.Equal(text, await Database.ScalarAsync<string>($"SELECT metadata ->> 'text' FROM gpt_oauth_events WHERE clerk_user_id = '{user}'"));
    }

    [Fact]
    public async Task Event_outside_the_existing_months_is_recorded_too()
    {
        await broker.PublishAsync(AuditSettings.Queue, Envelope(Guid.CreateVersion7(), "user_past", "2019-05-05T05:05:05Z"));
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events_other", "clerk_user_id = 'user_past'") == 1);
    }

    [Fact]
    public async Task Message_that_fails_five_times_is_dead_lettered_with_nothing_lost()
    {
        await Database.ExecuteAsync(
            "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$");
        await Database.ExecuteAsync(
            "CREATE TRIGGER poison BEFORE INSERT ON gpt_oauth_events FOR EACH ROW WHEN (NEW.clerk_user_id = 'user_poison') EXECUTE FUNCTION refuse_poison()");
        var message = Envelope(Guid.CreateVersion7(), "user_poison");
        await broker.PublishAsync(AuditSettings.Queue, message);
        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.DeadLetters) == 1);

        Assert.Equal(5, app.Log.Lines.Count(line => line.Contains("AuditConsumer failed", StringComparison.Ordinal)));
        Assert.Equal(message, Encoding.UTF8.GetString((await broker.GetAsync(AuditSettings.DeadLetters)).Body.Span));
    }

    [Theory]
    [InlineData("UPDATE gpt_oauth_events SET client_id = 'other'")]
    [InlineData("DELETE FROM gpt_oauth_events")]
    [InlineData("TRUNCATE gpt_oauth_events")]
    [InlineData("TRUNCATE gpt_oauth_events_other")]
    [InlineData("DELETE FROM gpt_oauth_events_other")]
    public async Task Audit_rows_cannot_be_changed_by_anyone(string sql)
    {
        await broker.PublishAsync(AuditSettings.Queue, Envelope(Guid.CreateVersion7(), "user_kept", "2019-05-05T05:05:05Z"));
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_kept'") > 0);
        var error = await Assert.ThrowsAsync<PostgresException>(() => Database.ExecuteAsync(sql));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, error.SqlState);
    }

    [Fact]
    public async Task Unroutable_event_stays_until_it_can_be_delivered()
    {
        await Database.ExecuteAsync(
            $"INSERT INTO outbox_messages VALUES ('{Guid.CreateVersion7()}', 'gpt.unknown.event', "
                + $"'{Envelope(Guid.CreateVersion7(), "user_unroutable")}', now())");
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_routable"); // what comes behind it is not held up
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_routable'") == 3);
        Assert.Equal(1, await Database.CountAsync("outbox_messages", "routing_key = 'gpt.unknown.event'"));
        await Database.ExecuteAsync("UPDATE outbox_messages SET routing_key = 'gpt.action.event' WHERE routing_key = 'gpt.unknown.event'");
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_unroutable'") == 1);
    }

    [Fact]
    public async Task Audit_tail_prints_a_users_events_as_text_and_json()
    {
        var client = await OAuthFlow.AddClientAsync(app);
        await flow.TokensAsync(client, "user_tail");
        await Wait.UntilAsync(async () => await Database.CountAsync("gpt_oauth_events", "clerk_user_id = 'user_tail'") == 3);

        var text = await AppProcess.RunAsync(app.Settings, "audit", "tail", "--user", "user_tail", "--since", "1h");
        Assert.Equal(0, text.ExitCode);
        Assert.Equal(3, text.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("gpt.oauth.token_exchanged", text.Output, StringComparison.Ordinal);

        var json = await AppProcess.RunAsync(app.Settings, "audit", "tail", "--user", "user_tail", "--json");
        Assert.All(
            json.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            line => Assert.Equal("user_tail", System.Text.Json.JsonElement.Parse(line).GetProperty("clerk_user_id").GetString()));
        Assert.Equal(1, (await AppProcess.RunAsync(app.Settings, "audit", "tail", "--since", "tomorrow")).ExitCode);
    }

    private static string Envelope(Guid id, string user, string at = "2026-01-15T12:00:00.5Z") =>
        $$$"""
        {"event_id":"{{{id}}}","event_type":"gpt.action.test","timestamp":"{{{at}}}","source_service":"test","correlation_id":"c",
        "payload":{"clerk_user_id":"{{{user}}}"}}
        """;
}
