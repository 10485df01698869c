using System.Net;
using GptFunctions.Audit;
using GptFunctions.Countdowns;
using GptFunctions.Maintenance;
using GptFunctions.Purge;
using GptFunctions.Tests.Support;
using GptFunctions.Verification;
using GptFunctions.Webhooks;

namespace GptFunctions.Tests.Operations;

/// <summary>
/// The pages Webhooks, Messages, Countdowns and Purge: what they show of hostile values, and what their actions do, once (operations.md 6, 7).
/// </summary>
public sealed class WorkPagesTests(OperationsFixture<WorkPagesTests> fixture) : IClassFixture<OperationsFixture<WorkPagesTests>>
{
    private static readonly string[] Hostile =
    [
        "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "\u202Egnp.exe", "a\u001b[2J\r\nb", "\u0634\u0631\u0643\u0629", "{{7*7}}",
        "../../etc",
    ];

    private readonly TestApp app = fixture.App;

    private TestDatabase Database => app.Database;

    [Fact]
    public async Task Every_field_is_text_and_long_values_fold()
    {
        var hostile = Hostile.Append(new string('x', 10_000)).ToList();
        for (var number = 0; number < hostile.Count; number++)
        {
            var text = hostile[number];
            var cut = text.Length > 500 ? text[..500] : text;
            await AddFailedAsync(cut + number, type: cut, subject: cut, error: text);
            await Database.ScalarAsync<int>(
                "INSERT INTO audit_quarantine (reason, message) VALUES ($1, convert_to($1::text, 'UTF8'))", text);
            await Database.ScalarAsync<int>(
                "INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at) VALUES ($1, gen_random_uuid(), $2, '{}', now())",
                (long)number + 100, text);
            await Database.ScalarAsync<int>("""
                INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status, finished_at, last_error)
                VALUES (gen_random_uuid(), $1, $1, now(), now(), now(), 'dead', now(), $2)
                """, cut, text);
            await Database.ScalarAsync<int>("""
                INSERT INTO verification_callbacks (id, type, order_id, status, next_attempt_at, created_at, finished_at, last_error)
                VALUES (gen_random_uuid(), 'verification.reminder', $1, 'dead', now(), now(), now(), $2)
                """, cut, text);
        }

        await Database.ExecuteAsync("INSERT INTO audit_quarantine (reason, message) VALUES ('not JSON', '\\xFFFE00')");
        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        foreach (var path in (string[])["webhooks?status=failed", "messages", "countdowns?status=dead", "purge"])
        {
            var html = await ReadAsync(browser, path);
            Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("\u202E", html, StringComparison.Ordinal);
            Assert.DoesNotContain("\u001b", html, StringComparison.Ordinal);
            if (path != "purge")
            {
                Assert.Contains("&lt;script&gt;alert(1)", html, StringComparison.Ordinal);
                Assert.Contains("&lt;U&#x2B;202E&gt;gnp.exe", html, StringComparison.Ordinal);
                Assert.Contains("<details class=\"out\">", html, StringComparison.Ordinal);
            }
        }

        foreach (var text in Hostile)
        {
            var filter = Uri.EscapeDataString(text);
            Assert.DoesNotContain("<script", await ReadAsync(browser, $"webhooks?type={filter}&subject={filter}"), StringComparison.OrdinalIgnoreCase);
            var asked = await ReadAsync(browser, $"webhooks?confirm=replay-all&type={filter}");
            Assert.Contains("1 failed events match", asked, StringComparison.Ordinal);
            Assert.DoesNotContain("<script", await ReadAsync(browser, $"messages?confirm=discard&message={filter}"), StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(
                "<img", await ReadAsync(browser, $"countdowns?confirm=cancel&id={filter}&what={filter}"), StringComparison.OrdinalIgnoreCase);
        }

        await Database.ExecuteAsync("TRUNCATE webhook_events, audit_quarantine, outbox_stranded, countdowns, verification_callbacks");
    }

    [Fact]
    public async Task Failed_event_is_replayed_once_and_viewers_see_no_way_to()
    {
        await AddFailedAsync("evt_one", "user.created", "user_one", "P0001: not now");
        var viewer = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Viewer);
        var seen = await ReadAsync(viewer, "webhooks?status=failed&subject=user_one");
        Assert.Contains("evt_one", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("Replay", TextOf(seen), StringComparison.Ordinal);
        Assert.DoesNotContain("<section class=\"act\"", await ReadAsync(viewer, "webhooks?confirm=replay&of=clerk&event=evt_one"), StringComparison.Ordinal);

        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        Assert.Contains("confirm=replay&amp;of=clerk&amp;event=evt_one", await ReadAsync(browser, "webhooks?subject=user_one"), StringComparison.Ordinal);
        using var done = await DoAsync(browser, "webhooks?subject=user_one&confirm=replay&of=clerk&event=evt_one", ("reason", "repaired"));
        Assert.Contains("The event was handled again: completed.", await done.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await ToldAsync(WebhookStore.Replayed, "event_id", "evt_one", "repaired");
        using var again = await DoAsync(browser, "webhooks?confirm=replay&of=clerk&event=evt_one");
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
        await ToldAsync(WebhookStore.Replayed, "event_id", "evt_one", "repaired");
    }

    [Fact]
    public async Task All_that_match_are_replayed_by_another_process_with_progress_and_stop()
    {
        for (var number = 1; number <= 60; number++)
        {
            await AddFailedAsync($"many_{number}", "user.updated", $"user_many_{number}", "P0001: not now");
        }

        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        using (var without = await DoAsync(browser, "webhooks?confirm=replay-all&type=user.updated"))
        {
            Assert.Equal(HttpStatusCode.BadRequest, without.StatusCode);
        }

        using (var started = await DoAsync(browser, "webhooks?confirm=replay-all&type=user.updated", ("reason", "all repaired")))
        {
            Assert.Equal(HttpStatusCode.OK, started.StatusCode);
        }

        var page = TextOf(await ReadAsync(browser, "webhooks"));
        Assert.Contains("A replay is under way", page, StringComparison.Ordinal);
        Assert.Contains("waiting for a process", page, StringComparison.Ordinal);
        var run = (await app.Get<InboxService>().FindReplayAsync())!;
        using (var stopped = await DoAsync(browser, $"webhooks?confirm=stop&run={run.Id}", ("reason", "wait")))
        {
            Assert.Equal(HttpStatusCode.OK, stopped.StatusCode);
        }

        using (var resumed = await DoAsync(browser, "webhooks?confirm=replay-all&type=user.updated", ("reason", "now")))
        {
            Assert.Equal(HttpStatusCode.OK, resumed.StatusCode);
        }

        await app.Get<MaintenanceService>().RunAsync([WebhookReplayJob.JobName], CancellationToken.None);
        page = TextOf(await ReadAsync(browser, "webhooks"));
        Assert.Contains("found 60, completed 60", page, StringComparison.Ordinal);
        Assert.Contains("Last replays", page, StringComparison.Ordinal);
        Assert.Equal(60, await Database.CountAsync("webhook_events", "type = 'user.updated' AND status = 'completed' AND attempts = 2"));
        await ToldAsync(WebhookReplayJob.Stopped, "run_id", run.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), "wait");
    }

    [Fact]
    public async Task Messages_are_put_back_or_thrown_away_and_stranded_ones_go_on()
    {
        await Database.ExecuteAsync("""
            INSERT INTO audit_quarantine (reason, message) VALUES
                ('an older release did not know it', convert_to('{"event_id":"0199bbbb-0000-7000-8000-000000000001",
                    "event_type":"gpt.oauth.authorize","timestamp":"2026-11-01T00:00:00Z","payload":{}}', 'UTF8')),
                ('not JSON', 'junk');
            INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at)
            VALUES (1, gen_random_uuid(), 'gpt.odd.type', '{"event_id":"0199bbbb-0000-7000-8000-000000000002","event_type":"gpt.odd.type",
                "timestamp":"2026-11-01T00:00:00Z","payload":{}}', now())
            """);
        var id = await Database.ScalarAsync<long>("SELECT min(id) FROM audit_quarantine");
        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        using (var back = await DoAsync(browser, $"messages?confirm=return&message=quarantine/{id}", ("reason", "known now")))
        {
            Assert.Contains($"Message {id} is in the audit trail.", await back.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        using (var kept = await DoAsync(browser, $"messages?confirm=return&message=quarantine/{id + 1}"))
        {
            Assert.Equal(HttpStatusCode.Conflict, kept.StatusCode);
            Assert.Contains("is no event: not JSON.", await kept.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        using (var unsaid = await DoAsync(browser, $"messages?confirm=discard&message=quarantine/{id + 1}"))
        {
            Assert.Equal(HttpStatusCode.BadRequest, unsaid.StatusCode);
        }

        using (var gone = await DoAsync(browser, $"messages?confirm=discard&message=quarantine/{id + 1}", ("reason", "noise")))
        {
            Assert.Equal(HttpStatusCode.OK, gone.StatusCode);
        }

        using (var moved = await DoAsync(browser, "messages?confirm=return&message=stranded/gpt.odd.type", ("reason", "bound")))
        {
            Assert.Equal(HttpStatusCode.OK, moved.StatusCode);
        }

        Assert.Equal((0, 0), (await Database.CountAsync("audit_quarantine"), await Database.CountAsync("outbox_stranded")));
        await ToldAsync(MessageService.Returned, "from", "quarantine", "known now");
        await ToldAsync(MessageService.Returned, "from", "stranded", "bound");
        await ToldAsync(MessageService.Discarded, "from", "quarantine", "noise");

        await using var away = await app.StartReplicaAsync(("RABBITMQ_URL", $"amqp://guest:guest@127.0.0.1:{TestApp.FreePort()}"), ("OUTBOX_RELAY", "false"));
        var html = TextOf(await OperationsFixture<WorkPagesTests>.ReadAsync(browser.At(away.Http), "/operations/messages"));
        Assert.Contains("The broker at RABBITMQ_URL does not answer", html, StringComparison.Ordinal);
        Assert.Contains("Every message was an event.", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Countdowns_and_callbacks_run_again_or_are_cancelled_with_a_reason()
    {
        await Database.ExecuteAsync("""
            INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status, finished_at, attempts, last_error) VALUES
                ('00000000-0000-0000-0000-00000000000a', 'test.kind', 'order-a', now(), now(), now(), 'dead', now(), 5, 'broken'),
                ('00000000-0000-0000-0000-00000000000b', 'test.kind', 'order-b', now() + interval '1 hour', now() + interval '1 hour', now(), 'active',
                    NULL, 0, NULL);
            INSERT INTO verification_callbacks (id, type, order_id, status, next_attempt_at, created_at, finished_at, last_error)
            VALUES ('00000000-0000-0000-0000-00000000000c', 'verification.refund_due', 'order-c', 'dead', now(), now(), now(), 'the receiver answered 500')
            """);
        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        var page = TextOf(await ReadAsync(browser, "countdowns"));
        Assert.Contains("order-b", page, StringComparison.Ordinal);
        Assert.DoesNotContain("order-a", page, StringComparison.Ordinal);
        Assert.Contains("order-c", page, StringComparison.Ordinal);
        Assert.Contains("order-a", TextOf(await ReadAsync(browser, "countdowns?status=dead")), StringComparison.Ordinal);
        Assert.Contains("order-a", TextOf(await ReadAsync(browser, "countdowns?subject=order-a")), StringComparison.Ordinal);
        foreach (var (action, id, reason, told) in ((string, string, string, string)[])
        [
            ("replay", "a", "repaired", CountdownStore.Replayed), ("cancel", "b", "ordered twice", CountdownStore.Cancelled),
            ("replay-callback", "c", "it is back", CallbackListStore.Replayed), ("cancel-callback", "c", "told by telephone", CallbackListStore.Cancelled),
        ])
        {
            var path = $"countdowns?confirm={action}&id=00000000-0000-0000-0000-00000000000{id}&what=order-{id}";
            if (action.StartsWith("cancel", StringComparison.Ordinal))
            {
                using var unsaid = await DoAsync(browser, path);
                Assert.Equal(HttpStatusCode.BadRequest, unsaid.StatusCode);
            }

            using var done = await DoAsync(browser, path, ("reason", reason));
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
            using var again = await DoAsync(browser, path, ("reason", "again"));
            Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
            await ToldAsync(
                told, told.Contains("callback", StringComparison.Ordinal) ? "callback_id" : "countdown_id", $"00000000-0000-0000-0000-00000000000{id}",
                reason);
        }

        Assert.Equal("active cancelled", await Database.ScalarAsync<string>(
            "SELECT string_agg(status, ' ' ORDER BY id) FROM countdowns WHERE kind = 'test.kind'"));
        Assert.Equal("skipped", await Database.ScalarAsync<string>("SELECT status FROM verification_callbacks WHERE order_id = 'order-c'"));
    }

    [Fact]
    public async Task Purge_is_counted_run_and_shown_and_stopped()
    {
        await Database.ExecuteAsync("""
            INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at)
            SELECT 'clerk', 'old_' || n, 'x', 'ignored', 1, now() - interval '40 days', now() - interval '40 days' FROM generate_series(1, 1200) n
            """);
        var browser = await fixture.SignInAsync(OperationsFixture<WorkPagesTests>.Operator);
        foreach (var kind in (string[])["dry-run", "run"])
        {
            using (var asked = await DoAsync(browser, $"purge?confirm={kind}", ("reason", kind + " now"), ("days", "30")))
            {
                Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
            }

            using (var twice = await DoAsync(browser, $"purge?confirm={kind}", ("reason", "twice"), ("days", "30")))
            {
                Assert.Equal(HttpStatusCode.Conflict, twice.StatusCode);
            }

            Assert.Contains("is under way", TextOf(await ReadAsync(browser, "purge")), StringComparison.Ordinal);
            await app.Get<MaintenanceService>().RunAsync(PurgeRequests.Jobs, CancellationToken.None);
        }

        var page = TextOf(await ReadAsync(browser, "purge"));
        Assert.Contains("webhook events deleted 1,200", page, StringComparison.Ordinal);
        Assert.Contains("webhook events 1,200", page, StringComparison.Ordinal);
        page = TextOf(await ReadAsync(browser, "purge?kind=run"));
        Assert.Contains("webhook events deleted 1,200", page, StringComparison.Ordinal);
        Assert.DoesNotContain("webhook events 1,200", page, StringComparison.Ordinal);
        Assert.Equal(0, await Database.CountAsync("webhook_events", "event_id LIKE 'old%'"));
        using (var bad = await DoAsync(browser, "purge?confirm=run", ("days", "0")))
        {
            var html = await bad.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
            Assert.Contains("id=\"days-problem\" role=\"alert\">Nothing was changed. Rows stay between 1 and ", html, StringComparison.Ordinal);
            Assert.Matches("name=\"days\"[^>]* value=\"0\"", html);
        }

        using (var last = await DoAsync(browser, "purge?confirm=run", ("days", "30")))
        {
            Assert.Equal(HttpStatusCode.OK, last.StatusCode);
        }

        var run = (await app.Get<PurgeRequests>().ListAsync(null, 1))[0];
        using (var stopped = await DoAsync(browser, $"purge?confirm=stop&run={run.Id}&job=purge", ("reason", "not now")))
        {
            Assert.Equal(HttpStatusCode.OK, stopped.StatusCode);
        }

        await ToldAsync(PurgeJob.StoppedByOperator, "run_id", run.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), "not now");
    }

    /// <summary>The event of an act is there once, in the outbox or already in the trail.</summary>
    private async Task ToldAsync(string type, string member, string value, string reason)
    {
        var count = await Database.ScalarAsync<long>($"""
            SELECT count(DISTINCT event_id)
            FROM (SELECT event_id, routing_key AS type, envelope -> 'payload' AS told FROM outbox_messages
                  UNION
                  SELECT event_id, event_type, metadata FROM gpt_oauth_events) events
            WHERE type = '{type}' AND told ->> '{member}' = '{value}' AND told ->> 'reason' = '{reason}'
              AND told ->> 'operator' = '{OperationsFixture<WorkPagesTests>.Operator}'
            """);
        Assert.Equal(1, count);
    }

    private static string TextOf(string html) => OperationsFixture<WorkPagesTests>.TextOf(html);

    private static Task<string> ReadAsync(TestBrowser browser, string path) => OperationsFixture<WorkPagesTests>.ReadAsync(browser, "/operations/" + path);

    private static Task<HttpResponseMessage> DoAsync(TestBrowser browser, string path, params (string Name, string? Value)[] values) =>
        OperationsFixture<WorkPagesTests>.DoAsync(browser, "/operations/" + path, values);

    private Task<int> AddFailedAsync(string id, string type, string subject, string error) => Database.ScalarAsync<int>("""
        INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
        SELECT 'clerk', $1, $2::text, $3::text, 'failed', 1, at, at, at, $4, convert_to(jsonb_build_object(
            'type', $2::text, 'timestamp', 1700000000000, 'data', jsonb_build_object(
                'id', $3::text, 'updated_at', 1700000000000, 'email_addresses', '[]'::jsonb))::text, 'UTF8')
        FROM (SELECT now() - interval '1 hour' AS at) moment
        """, id, type, subject, error);
}
