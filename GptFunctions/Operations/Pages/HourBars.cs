using System.Globalization;
using GptFunctions.Statistics;

namespace GptFunctions.Operations.Pages;

/// <summary>
/// One kind of thing by the hour, drawn as bars of parts on top of each other; or in front of each other, where each is a part of the one before.
/// </summary>
/// <param name="Parts">The names of the parts, the most frequent first; the last may stand for all others.</param>
/// <param name="Hours">For each of 48 hours how many of each part, in the order of <paramref name="Parts"/>.</param>
public sealed record HourBars(
    string Title, string Empty, IReadOnlyList<string> Parts, bool IsNested, IReadOnlyList<(DateTimeOffset From, long[] Counts)> Hours)
{
    public const int MostParts = 6;
    private const string Others = "others";

    public long Total => Hours.Sum(hour => Sum(hour.Counts));

    public long Most => Hours.Max(hour => Sum(hour.Counts));

    /// <summary>What a picture says to whoever cannot see it.</summary>
    public string Summary => Total == 0
        ? $"{Title}: none in 48 hours."
        : $"{Title}: {Total} in 48 hours, at most {Most} in one, from {Hours.First(hour => Sum(hour.Counts) == Most).From:yyyy-MM-dd HH:mm} UTC. "
            + $"{string.Join(", ", Parts.Select((part, place) => $"{part} {TotalOf(place)}"))}.";

    public long TotalOf(int place) => Hours.Sum(hour => hour.Counts[place]);

    /// <summary>The bars in a field of 480 by 120, from below: ten to an hour, and the highest 116.</summary>
    /// <returns>The class of the part, and where its rectangle is.</returns>
    public IEnumerable<(string Part, string X, string Y, string Height)> Draw()
    {
        var most = Most;
        for (var hour = 0; hour < Hours.Count; hour++)
        {
            var top = 120.0;
            for (var place = 0; place < Parts.Count; place++)
            {
                var height = Hours[hour].Counts[place] * 116.0 / most;
                if (height > 0)
                {
                    top = (IsNested ? 120 : top) - height;
                    yield return ($"s{place}", Text((hour * 10) + 1), Text(top), Text(height));
                }
            }
        }
    }

    private long Sum(long[] counts) => IsNested ? counts.DefaultIfEmpty().Max() : counts.Sum();

    private static string Text(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);

    /// <param name="nested">Only these parts, each one a part of the one before; null: all, the most frequent first, and of more than six the rest as
    /// one.</param>
    internal static HourBars Of(string title, string empty, HourlyReport report, string kind, string[]? nested = null)
    {
        var counts = report.Counts.Where(count => count.Kind == kind).ToList();
        var known = nested ?? [.. counts.GroupBy(count => count.Outcome).OrderByDescending(part => part.Sum(count => count.Count))
            .ThenBy(part => part.Key, StringComparer.Ordinal).Select(part => part.Key)];
        var parts = known.Length > MostParts ? [.. known.Take(MostParts - 1), Others] : known;
        var hours = Enumerable.Range(0, HourlyReport.HoursShown).Select(hour => (report.From.AddHours(hour), new long[parts.Length])).ToArray();
        foreach (var count in counts)
        {
            var (hour, place) = ((int)(count.Hour - report.From).TotalHours, Array.IndexOf(parts, count.Outcome));
            place = place < 0 ? Array.IndexOf(parts, Others) : place;
            if (place >= 0 && hour >= 0 && hour < hours.Length)
            {
                hours[hour].Item2[place] += count.Count;
            }
        }

        return new(title, empty, parts, nested is not null, hours);
    }
}
