using System.Globalization;

namespace GptFunctions.Hosting;

/// <summary>A point in time as operators type it.</summary>
internal static class TimeText
{
    public const string Expected = "it must be a span such as 30m, 24h or 7d, or a time such as 2026-01-31T12:00Z";

    /// <summary>A span before <paramref name="now"/>, or a point in time (in UTC unless it says otherwise); null for anything else.</summary>
    public static DateTimeOffset? Parse(string? text, DateTimeOffset now)
    {
        if (text is { Length: > 1 } && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count < 100_000)
        {
            return text[^1] switch
            {
                's' => now.AddSeconds(-count),
                'm' => now.AddMinutes(-count),
                'h' => now.AddHours(-count),
                'd' => now.AddDays(-count),
                _ => null,
            };
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time.ToUniversalTime() : null;
    }
}
