using System.Globalization;

namespace GptFunctions.Data;

/// <summary>A place in a list that is ordered by time and key: where a page ended. As text it stands in URLs: microseconds since 1970, and the key.</summary>
internal readonly record struct ListPlace(DateTimeOffset At, string Key)
{
    // Year 1 to 9999.
    private const long Least = -62_135_596_800_000_000;
    private const long Most = 253_402_300_799_999_999;

    /// <summary>Before every row of a list whose newest comes first.</summary>
    public static ListPlace Newest { get; } = new(DateTimeOffset.MaxValue, "");

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{(At - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond}.{Key}");

    /// <summary>Null for what no list of ours wrote.</summary>
    public static ListPlace? Parse(string? text) =>
        text?.Split('.', 2) is [var time, var key] && long.TryParse(time, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var microseconds)
            && microseconds is >= Least and <= Most
            ? new ListPlace(DateTimeOffset.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond), key)
            : null;
}
