using System.Net;
using System.Text.Json;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Tests.Health;

/// <summary>health.md 12: what each check finds in the database, in words that say what to do.</summary>
public sealed class CheckTests(AppFixture<CheckTests> fixture) : IClassFixture<AppFixture<CheckTests>>
{
    private readonly TestApp app = fixture.App;

    [Theory]
    [InlineData(
        "outbox", "INSERT INTO outbox_messages (event_id, routing_key, envelope, occurred_at) VALUES (gen_random_uuid(), 'gpt.test', '{}', now() - interval "
            + "'61 s')",
        "TRUNCATE outbox_messages", "degraded", "The oldest audit event waits for 6")]
    [InlineData(
        "outbox", "INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at) SELECT 1, gen_random_uuid(), 'gpt.test', '{}', now()",
        "TRUNCATE outbox_stranded", "degraded", "1 audit events are set aside, because no queue takes them: GptFunctions audit stranded list. A binding of "
            + "the "
            + "exchange is missing (gpt.test): GptFunctions setup declares it")]
    [InlineData(
        "outbox", "INSERT INTO outbox_messages (event_id, routing_key, envelope, occurred_at) VALUES (gen_random_uuid(), 'gpt.test', '{}', now() - interval "
            + "'30 s')",
        "TRUNCATE outbox_messages", "ok", null)]
    [InlineData(
        "countdowns", "INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at) VALUES (gen_random_uuid(), 'test', 'x', now() - "
            + "interval '59.6 s', " // the test has 0.9 s to ask
            + "now() - interval '59.6 s', now())",
        "TRUNCATE countdowns", "degraded", "1 countdowns are late, the oldest by 60 s: does a process run DispatchCountdowns?")]
    [InlineData(
        "countdowns", "INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at, status, finished_at) VALUES (gen_random_uuid(), "
            + "'test', 'x', "
            + "now(), now(), now(), 'dead', now())",
        "TRUNCATE countdowns", "degraded", "1 countdowns were given up")]
    [InlineData(
        "callbacks", "INSERT INTO verification_callbacks (id, type, order_id, next_attempt_at, created_at) VALUES (gen_random_uuid(), "
            + "'verification.reminder', 'x', "
            + "now() - interval '3 min', now())",
        "TRUNCATE verification_callbacks", "degraded", "1 callbacks are late: does a process run SendCallbacks?")]
    [InlineData(
        "callbacks", "INSERT INTO verification_callbacks (id, type, order_id, next_attempt_at, created_at, status, finished_at) VALUES (gen_random_uuid(), "
            + "'verification.reminder', 'x', now(), now(), 'dead', now() - interval '23 h')",
        "TRUNCATE verification_callbacks", "degraded", "1 callbacks were given up within a day")]
    [InlineData(
        "purge", "INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts) VALUES ('purge', now() - interval '14 h', now() - interval "
            + "'14 h', 'completed', '{}')",
        "TRUNCATE maintenance_runs", "degraded", "No purge has ended for 14 hours: does a process run Purge?")]
    [InlineData(
        "purge", "INSERT INTO maintenance_runs (job, started_at, finished_at, outcome, counts) VALUES ('purge', now(), now(), 'failed', '{}')",
        "TRUNCATE maintenance_runs", "degraded", "The last purge ended as failed")]
    [InlineData(
        "purge", "UPDATE schema_migrations SET applied_at = now() - interval '14 h'", "UPDATE schema_migrations SET applied_at = now()", "degraded",
        "No purge has ended for 14 hours")]
    [InlineData(
        "stripe", "INSERT INTO webhook_events (source, event_id, type, status, attempts, received_at, processed_at, error, payload) VALUES ('stripe', "
            + "'evt_1', 'x', 'failed', 1, "
            + "now(), now(), 'x', 'x')",
        "TRUNCATE webhook_events", "degraded", "1 events of Stripe failed within a day")]
    [InlineData(
        "database", "INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'Later', "
            + "'x')", "DELETE FROM schema_migrations WHERE version = 999", "ok", null)]
    [InlineData(
        "database", "UPDATE schema_migrations SET version = -version", "UPDATE schema_migrations SET version = "
            + "-version", "blocker", "The database has version ")]
    public async Task What_is_found_in_the_database_is_said(string subsystem, string change, string undo, string status, string? error)
    {
        await app.Database.ExecuteAsync(change);
        try
        {
            app.Clock.Advance(TimeSpan.FromSeconds(5));
            using var answer = await app.GetAsOperatorAsync("/__selftest");
            var matrix = new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
            Assert.Equal(status == "blocker" ? HttpStatusCode.ServiceUnavailable : HttpStatusCode.OK, matrix.Status);
            Assert.Equal(status, matrix.Json.GetProperty("subsystems").GetProperty(subsystem).GetProperty("status").GetString());
            Assert.StartsWith(error ?? "", matrix.Error(subsystem) ?? "", StringComparison.Ordinal);
        }
        finally
        {
            await app.Database.ExecuteAsync(undo);
        }
    }

    [Theory]
    [InlineData(-40, "The clock of this process is 40 s ahead of the database: set it by NTP.")]
    [InlineData(40, "The clock of this process is 40 s behind the database: set it by NTP.")]
    [InlineData(20, null)]
    public async Task Clock_that_is_far_from_the_databases_is_said(int databaseIsAhead, string? error)
    {
        var clock = new DatabaseClock(TimeProvider.System);
        var now = clock.GetTimestamp();
        clock.Note(clock.GetUtcNow().AddSeconds(databaseIsAhead), now, now);
        var finding = new Finding();
        await new DatabaseCheck(app.Get<Database>(), app.Get<Migrator>(), clock, TimeProvider.System).RunAsync(finding, CancellationToken.None);
        Assert.Equal(error is null ? CheckState.Ok : CheckState.Degraded, finding.State);
        Assert.Equal(error, finding.Error);
        Assert.Equal(-databaseIsAhead, finding.Details["clock_ahead_seconds"]!.GetValue<double>(), 0.1);
    }

    /// <summary>Development without anything: what is missing is said, and nothing of it blocks.</summary>
    [Fact]
    public async Task Program_without_outside_settings_is_degraded_and_serves()
    {
        app.Clock.Advance(TimeSpan.FromSeconds(5));
        using var answer = await app.GetAsOperatorAsync("/__selftest");
        var matrix = new Matrix(answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync()));
        Assert.Equal(HttpStatusCode.OK, matrix.Status);
        Assert.Equal(
            [
                "clerk degraded", "secrets_mount degraded", "webhook_clerk degraded", "webhook_orders degraded", "webhook_stripe degraded",
                "webhook_verification degraded",
            ], matrix.NotOk.Except(["gateway_upstreams degraded", "gateway_upstreams blocker"]));
        Assert.False(matrix.Details("rabbitmq").GetProperty("used").GetBoolean());
    }

    /// <summary>Names are for good: dashboards and alerts ask for them, and they are labels of a metric.</summary>
    [Fact]
    public void Names_are_unique_and_stand_in_the_runbook()
    {
        var names = app.Services.GetServices<ICheck>().Select(check => check.Name).ToList();
        Assert.Equal(names.Count, names.Distinct(StringComparer.Ordinal).Count());
        Assert.All(names, name => Assert.Matches("^[a-z_]{3,30}$", name));
        var runbook = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "runbook.md"));
        Assert.All(names, name => Assert.Contains($"| `{name}` |", runbook, StringComparison.Ordinal));
    }
}
