using System.Diagnostics;
using System.Security.Cryptography;
using OpenTelemetry.Trace;

namespace GptFunctions.Telemetry;

/// <summary>
/// Decides where a trace enters the program; everything inside follows. A stranger's traceparent gives the trace its id, and little else: its id is
/// theirs to choose, so the share is drawn by lot and not from the id, its "sampled" is followed some times a second only, and its "not sampled" (which
/// HTTP clients say that know nothing of traces) hides nothing.
/// </summary>
internal sealed class TraceSampler(TelemetrySettings settings, bool isBehindFunctionsHost, TimeProvider clock) : Sampler
{
    private const int Lots = 1_000_000;
    private static readonly SamplingResult Record = new(SamplingDecision.RecordAndSample);
    private static readonly SamplingResult Drop = new(SamplingDecision.Drop);

    private readonly double share = settings.Sampler switch
    {
        var name when name.EndsWith("always_off", StringComparison.Ordinal) => 0,
        var name when name.EndsWith("always_on", StringComparison.Ordinal) => 1,
        _ => (double)settings.SamplerArgument,
    };

    private readonly bool followsCallers = settings.Sampler.StartsWith("parentbased", StringComparison.Ordinal);
    private readonly Lock turn = new();
    private long second;
    private int forced;

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        var parent = samplingParameters.ParentContext;
        var isSampled = parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded);
        var decision = parent.TraceId == default
            // A statement or a call without a request, message or timer around it (heartbeats, polls): nobody's trace.
            ? samplingParameters.Kind != ActivityKind.Client && (FollowsRecorded(samplingParameters.Links) || Draw())
            : parent.IsRemote && samplingParameters.Kind == ActivityKind.Server && !isBehindFunctionsHost
                ? (isSampled && followsCallers && TakeForced()) || Draw()
                : isSampled && settings.Sampler != "always_off";
        return decision ? Record : Drop;
    }

    private static bool FollowsRecorded(IEnumerable<ActivityLink>? links) =>
        links?.Any(link => link.Context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded)) == true;

    private bool Draw() => share >= 1 || (share > 0 && RandomNumberGenerator.GetInt32(Lots) < share * Lots);

    private bool TakeForced()
    {
        var now = clock.GetUtcNow().ToUnixTimeSeconds();
        lock (turn)
        {
            forced = now == second ? forced + 1 : 1;
            second = now;
            return forced <= settings.ForcedPerSecond;
        }
    }
}
