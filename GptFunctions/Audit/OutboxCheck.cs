using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Hosting;

namespace GptFunctions.Audit;

/// <summary>Audit events leave the outbox in time, and none is set aside.</summary>
internal sealed class OutboxCheck(Database database) : ICheck
{
    private const int MostCounted = 10_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly Sql State = new("""
        SELECT (SELECT count(*) FROM (SELECT FROM outbox_messages LIMIT @most) counted),
               (SELECT extract(epoch FROM now() - occurred_at)::double precision FROM outbox_messages ORDER BY position LIMIT 1),
               (SELECT count(*) FROM (SELECT FROM outbox_stranded LIMIT @most) counted),
               (SELECT string_agg(DISTINCT routing_key, ', ' ORDER BY routing_key) FROM (SELECT routing_key FROM outbox_stranded LIMIT @most) counted)
        """);

    public string Name => "outbox";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        var (waiting, oldest, stranded, kinds) = await database.LookUp(State).Bind("most", MostCounted)
            .FirstAsync(reader => (reader.GetInt64(0), reader.Get<double?>(1), reader.GetInt64(2), reader.Get<string>(3)));
        finding.Details["waiting"] = waiting;
        finding.Details["oldest_seconds"] = oldest is { } seconds ? Math.Max(0, (long)seconds) : null;
        finding.Details["stranded"] = stranded;
        if (oldest > Patience.TotalSeconds)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"The oldest audit event waits for {oldest:0} s: look at rabbitmq, and at log 3002. Nothing is lost."));
        }

        if (stranded > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{stranded} audit events are set aside, because no queue takes them: GptFunctions audit stranded list. "
                    + $"A binding of the exchange is missing ({kinds}): GptFunctions setup declares it, then GptFunctions audit stranded requeue."));
        }
    }
}
