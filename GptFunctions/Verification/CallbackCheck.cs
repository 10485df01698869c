using System.Globalization;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Verification;

/// <summary>Callbacks leave in time, and the receiver takes them.</summary>
internal sealed class CallbackCheck(
    Database database, SafeMode safeMode, CallbackDestination destination, IOptions<VerificationSettings> settings) : ICheck
{
    private const int LateAfterSeconds = 120; // a run comes every ten seconds and lasts up to 40; one that is being sent has a lease of 60

    private static readonly Sql State = new("""
        SELECT count(*) FILTER (WHERE next_attempt_at < now() - make_interval(secs => @late)),
               count(*) FILTER (WHERE attempts > 0),
               (SELECT count(*) FROM verification_callbacks WHERE status = 'dead' AND finished_at > now() - interval '1 day')
        FROM verification_callbacks
        WHERE status = 'pending'
        """);

    public string Name => "callbacks";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        finding.Details["url"] = settings.Value.CallbackUrl is not null;
        if (safeMode.IsForAll)
        {
            finding.Say(CheckState.SafeMode, "SAFE_MODE is true: no callback is sent.");
        }

        if (destination.MissingCredential is { } setting)
        {
            finding.Say(CheckState.SafeMode, $"{setting} is not set: no callback is sent.");
        }

        var (late, failing, dead) = await database.LookUp(State).Bind("late", (double)LateAfterSeconds)
            .FirstAsync(reader => (reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2)));
        finding.Details["late"] = late;
        finding.Details["failing"] = failing;
        finding.Details["dead_today"] = dead;
        if (late > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(
                CultureInfo.InvariantCulture, $"{late} callbacks are late: does a process run {VerificationFunctions.SendCallbacks}?"));
        }

        if (dead > 0)
        {
            finding.Say(CheckState.Degraded, string.Create(CultureInfo.InvariantCulture, $"{dead} callbacks were given up within a day (log 7013)."));
        }
    }
}
