namespace GptFunctions.Tests.Support;

/// <summary>The real clock, moved ahead by tests.</summary>
internal sealed class TestClock : TimeProvider
{
    private TimeSpan offset;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + offset;

    public override long GetTimestamp() => System.GetTimestamp() + (long)(offset.TotalSeconds * TimestampFrequency);

    public void Advance(TimeSpan by) => offset += by;

    public void Reset() => offset = TimeSpan.Zero;
}
