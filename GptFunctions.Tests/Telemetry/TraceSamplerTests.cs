using System.Diagnostics;
using GptFunctions.Telemetry;
using GptFunctions.Tests.Support;
using OpenTelemetry.Trace;

namespace GptFunctions.Tests.Telemetry;

/// <summary>traces.md 9.</summary>
public sealed class TraceSamplerTests
{
    private readonly TestClock clock = new();

    [Theory]
    [InlineData("always_on", 0, true)]
    [InlineData("parentbased_always_on", 0, true)]
    [InlineData("traceidratio", 1, true)]
    [InlineData("traceidratio", 0, false)]
    [InlineData("always_off", 1, false)]
    [InlineData("parentbased_always_off", 1, false)]
    public void Trace_that_begins_here_goes_by_the_sampler(string sampler, int share, bool isRecorded)
    {
        var sampled = Sampler(sampler, share);
        Assert.Equal(isRecorded, IsRecorded(sampled, default, ActivityKind.Server));
        Assert.Equal(isRecorded, IsRecorded(sampled, default, ActivityKind.Internal));
        Assert.False(IsRecorded(sampled, default, ActivityKind.Client)); // nobody's statement
        Assert.Equal(isRecorded, IsRecorded(sampled, Parent(ActivityTraceFlags.None), ActivityKind.Server)); // a caller's "no" hides nothing
    }

    [Theory]
    [InlineData("parentbased_traceidratio", 2)]
    [InlineData("traceidratio", 0)]
    public void Callers_yes_is_followed_some_times_a_second(string sampler, int recorded)
    {
        var sampled = Sampler(sampler, 0);
        for (var second = 0; second < 3; second++)
        {
            Assert.Equal(recorded, Enumerable.Range(0, 100).Count(_ => IsRecorded(sampled, Parent(ActivityTraceFlags.Recorded), ActivityKind.Server)));
            clock.Advance(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>By lot, not by the id: whoever chose one that is always recorded would gain nothing.</summary>
    [Fact]
    public void Share_is_drawn_whatever_id_a_caller_chooses()
    {
        var sampled = Sampler("traceidratio", 0.5m);
        var recorded = Enumerable.Range(0, 2000).Count(_ => IsRecorded(sampled, Parent(ActivityTraceFlags.None), ActivityKind.Server));
        Assert.InRange(recorded, 850, 1150);
    }

    [Fact]
    public void What_is_inside_follows_what_it_comes_from()
    {
        var never = Sampler("parentbased_traceidratio", 0);
        var always = Sampler("parentbased_traceidratio", 1);
        foreach (var kind in (ActivityKind[])[ActivityKind.Client, ActivityKind.Internal, ActivityKind.Producer, ActivityKind.Consumer])
        {
            Assert.True(IsRecorded(never, Parent(ActivityTraceFlags.Recorded, isRemote: kind is not ActivityKind.Client), kind));
            Assert.False(IsRecorded(always, Parent(ActivityTraceFlags.None, isRemote: kind is not ActivityKind.Client), kind));
        }

        // A round of the relay is recorded when one of its events is.
        Assert.True(IsRecorded(never, default, ActivityKind.Internal, new ActivityLink(Parent(ActivityTraceFlags.Recorded))));
        // The Functions host has decided before.
        Assert.True(IsRecorded(Sampler("parentbased_traceidratio", 0, isBehindFunctionsHost: true), Parent(ActivityTraceFlags.Recorded), ActivityKind.Server));
    }

    private TraceSampler Sampler(string name, decimal share, bool isBehindFunctionsHost = false) =>
        new(new TelemetrySettings { Sampler = name, SamplerArgument = share, ForcedPerSecond = 2 }, isBehindFunctionsHost, clock);

    private static ActivityContext Parent(ActivityTraceFlags flags, bool isRemote = true) =>
        new(ActivityTraceId.CreateFromString("00000000000000000000000000000001"), ActivitySpanId.CreateRandom(), flags, isRemote: isRemote);

    private static bool IsRecorded(TraceSampler sampler, ActivityContext parent, ActivityKind kind, params ActivityLink[] links) =>
        sampler.ShouldSample(new SamplingParameters(
            parent, parent.TraceId == default ? ActivityTraceId.CreateRandom() : parent.TraceId, "span", kind, null, links)).Decision
        == SamplingDecision.RecordAndSample;
}
