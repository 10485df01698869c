using GptFunctions.Tests.Operations;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>operations.md 6: the pages Webhooks, Messages, Countdowns and Purge in a real browser, with values that nobody would choose.</summary>
public sealed class WorkPagesBrowserTests(OperationsFixture<WorkPagesBrowserTests> fixture) : IClassFixture<OperationsFixture<WorkPagesBrowserTests>>
{
    [Fact]
    public async Task Work_pages_stand_on_every_screen_whatever_they_show()
    {
        var database = fixture.App.Database;
        await database.ExecuteAsync("""
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, duration_ms)
            SELECT 'clerk', 'msg_2abcdefghijklmnopqrstuv' || n, 'user.updated', 'user_2xyz' || n, 'completed', 1, at, at, at, n
            FROM (SELECT n, now() - n * interval '1 minute' AS at FROM generate_series(1, 60) n) rows;
            INSERT INTO webhook_events (source, event_id, type, subject, status, attempts, event_at, received_at, processed_at, error, payload)
            SELECT 'clerk', 'evt_' || n, odd, odd, 'failed', 2, now(), now(), now(), repeat(odd, 40), '{}'
            FROM unnest(ARRAY[
                '<script>alert(1)</script>', E'\u202Egnp.exe', repeat('x', 500), 'user.updated', E'\u0634\u0631\u0643\u0629'])
                WITH ORDINALITY AS odd (odd, n);
            INSERT INTO audit_quarantine (reason, message)
            SELECT odd, convert_to(repeat(odd, 300), 'UTF8') FROM unnest(ARRAY['not JSON', '<img src=x onerror=alert(1)>', repeat('x', 500)]) odd;
            INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at)
            SELECT n, gen_random_uuid(), 'gpt.odd.type', '{}', now() FROM generate_series(1, 3) n;
            INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status, finished_at, attempts, last_error) VALUES
                (gen_random_uuid(), 'test.kind', repeat('x', 500), now(), now(), now(), 'dead', now(), 5, repeat('P0001: not now ', 20)),
                ('00000000-0000-0000-0000-00000000000b', 'verification.expiry', 'order-b', now() + interval '1 hour', now() + interval '1 hour', now(),
                 'active',
                    NULL, 0, NULL);
            INSERT INTO verification_callbacks (id, type, order_id, status, next_attempt_at, created_at, finished_at, last_error)
            VALUES (gen_random_uuid(), 'verification.refund_due', 'order-<b>c</b>', 'dead', now(), now(), now(), 'the receiver answered 500');
            INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts, started_by, asked) VALUES
                ('purge', now() - interval '1 day', now() - interval '1 day' + interval '5 minutes', 'cut_short',
                    '{"expired_auth_codes_deleted":123456,"rows_left":17}', NULL, '{}'),
                ('purge_dry_run', now() - interval '1 hour', now() - interval '1 hour', 'completed',
                    '{"expired_auth_codes":5}', 'user_operator', '{"dry_run":true,"retention_days":30}'),
                ('webhooks_replay', now() - interval '2 hours', now() - interval '1 hour', 'completed',
                    '{"found":20,"completed":19,"failed":1}', 'user_operator', '{"source":"clerk"}');
            INSERT INTO maintenance_runs (job, started_at, outcome, counts, started_by, asked, lease_until) VALUES
                ('purge', now(), 'active', '{"revoked_tokens_deleted":5000}', 'user_operator',
                    '{"dry_run":false,"retention_days":30}', now() + interval '1 hour'),
                ('webhooks_replay', now(), 'active', '{"found":200,"completed":60,"failed":7}', repeat('x', 120),
                    '{"type":"user.updated","subject":"<b>bold</b>"}', now() + interval '1 hour')
            """);
        var message = await database.ScalarAsync<long>("SELECT min(id) FROM audit_quarantine");
        var seen = await BrowserWalk.RunAsync(
            "operations-work.mjs", fixture.App.BaseUrl, OperationsFixture<WorkPagesBrowserTests>.Operator, $"quarantine/{message}");

        Assert.Equal((12 * 4) + 4, seen.Count);
    }
}
