using System.Collections.Concurrent;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Purge;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Purge;

/// <summary>A clock that stands still until a test moves it, so that a row can lie on the cutoff to the microsecond.</summary>
internal sealed class StoppedClock(DateTimeOffset now) : TimeProvider
{
    private TimeSpan passed;

    public override DateTimeOffset GetUtcNow() => now + passed;

    public override long GetTimestamp() => passed.Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public void Pass(TimeSpan time) => passed += time;
}

/// <summary>The purge's log lines: number, text and fields.</summary>
internal sealed class PurgeLog : ILogger<PurgeService>
{
    public ConcurrentQueue<(int Id, string Text, IReadOnlyList<KeyValuePair<string, object?>> Fields)> Lines { get; } = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue((eventId.Id, formatter(state, exception), (IReadOnlyList<KeyValuePair<string, object?>>)state!));
}

/// <summary>A purge on a test's database, with its own clock and log.</summary>
internal sealed class PurgeBench
{
    private readonly TestDatabase database;

    /// <param name="now">What the purge takes for the present; the cutoff lies 30 days before.</param>
    public PurgeBench(TestDatabase database, DateTimeOffset now, int batchSize = 1000)
    {
        this.database = database;
        Clock = new StoppedClock(now);
        Purge = new PurgeService(
            new PurgeStore(database.Source),
            new AuditTrail(new AuditTrailStore(database.Source), new AuditMetrics(Clock), Clock, NullLogger<AuditTrail>.Instance), new PurgeMetrics(Clock),
            Options.Create(new PurgeSettings { BatchSize = batchSize }), Clock, Log);
    }

    public StoppedClock Clock { get; }

    public PurgeLog Log { get; } = new();

    public PurgeService Purge { get; }

    public async Task<PurgeRun> RunAsync(Action<PurgeClass, long>? report = null)
    {
        var run = await Purge.RunAsync(retention: null, report, CancellationToken.None);
        Assert.NotNull(run);
        return run;
    }

    /// <summary>What the newest row of maintenance_runs says.</summary>
    public async Task<(string Outcome, JsonElement Counts)> ReadRecordAsync() => (
        (await database.ScalarAsync<string>("SELECT outcome FROM maintenance_runs WHERE job = 'purge' ORDER BY id DESC LIMIT 1"))!,
        JsonElement.Parse((await database.ScalarAsync<string>("SELECT counts::text FROM maintenance_runs WHERE job = 'purge' ORDER BY id DESC LIMIT 1"))!));
}
