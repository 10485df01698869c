using GptFunctions.Hosting;

namespace GptFunctions.Operations;

/// <summary>From when and until when a list is shown: the filters <c>since</c> and <c>until</c> of a page.</summary>
internal static class TimeFilter
{
    private static readonly (string Name, string Label)[] Fields = [("since", "From"), ("until", "Until")];

    /// <summary>Null for a filter that is not set.</summary>
    public static DateTimeOffset? Read(string? text, DateTimeOffset now) => text is null ? null : TimeText.Parse(text, now);

    /// <summary>Which of the two is no time, and what is one; null when both can be read.</summary>
    public static string? ProblemWith(Func<string, string?> value, DateTimeOffset now) =>
        Fields.Where(field => value(field.Name) is { } text && TimeText.Parse(text, now) is null).Select(field => field.Label).FirstOrDefault() is { } label
            ? $"{label} is no time: it is one such as 2026-01-31 12:00 (UTC), or how long ago: 30m, 24h, 7d."
            : null;
}
