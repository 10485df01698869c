using GptFunctions.Countdowns;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Tests.Countdowns;

/// <summary>A dispatcher on kinds of the tests' own, whose effect is a row in the table effects.</summary>
internal sealed class CountdownBench(TestApp app)
{
    public const string Kind = "test.effect";

    public TestApp App => app;

    /// <summary>What the handler adds instead of its effect, for one subject.</summary>
    public Dictionary<string, Action<NpgsqlBatch>> Instead { get; } = new(StringComparer.Ordinal);

    public static async Task<CountdownBench> StartAsync(string name)
    {
        var app = await TestApp.StartAsync(name);
        await app.Database.ExecuteAsync("""
            CREATE TABLE effects (
                countdown uuid NOT NULL, subject text NOT NULL, due_at timestamptz NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())
            """);
        return new CountdownBench(app);
    }

    /// <summary>One process's dispatcher.</summary>
    public CountdownService Dispatcher(params ICountdownHandler[] more) => new(
        app.Get<CountdownStore>(), app.Get<CountdownListStore>(), [new EffectHandler(Instead), .. more], app.Get<CountdownMetrics>(), app.Get<TimeProvider>(),
        new Logger<CountdownService>(new LoggerFactory([app.Log])));

    public Task RunAsync() => Dispatcher().RunAsync(CancellationToken.None);

    /// <summary>Countdowns whose subjects begin with <paramref name="subject"/>, due <paramref name="dueIn"/> (an expression on n) from now.</summary>
    public Task ScheduleAsync(string subject, string dueIn = "interval '-1 second'", int count = 1, string kind = Kind) => app.Database.ExecuteAsync($"""
        INSERT INTO countdowns (id, kind, subject, due_at, next_attempt_at, created_at)
        SELECT gen_random_uuid(), '{kind}', '{subject}' || n, due, due, now()
        FROM (SELECT n, now() + {dueIn} AS due FROM generate_series(1, {count}) n) due
        """);

    public Task<long> EffectsAsync() => app.Database.CountAsync("effects", "true");

    private sealed class EffectHandler(Dictionary<string, Action<NpgsqlBatch>> instead) : ICountdownHandler
    {
        private static readonly Sql Effect = new("INSERT INTO effects (countdown, subject, due_at) VALUES (@id, @subject, @due_at)");

        public string Kind => CountdownBench.Kind;

        public void AddEffect(NpgsqlBatch batch, DueCountdown countdown, Occasion occasion)
        {
            if (instead.TryGetValue(countdown.Subject, out var add))
            {
                add(batch);
            }

            batch.Add(new Statement(Effect).Bind("id", countdown.Id).Bind("subject", countdown.Subject).Bind("due_at", countdown.DueAt));
        }
    }
}
