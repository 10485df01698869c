using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Hosting;

/// <summary>
/// One setting: the environment variable that a property of an <see cref="ISettings"/> class is read from, what it may be, what is said when it is not that,
/// and its row of <c>docs/settings.md</c>. On a class: the class reads that setting itself.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Class, AllowMultiple = true)]
internal sealed class SettingAttribute(string name) : Attribute
{
    /// <summary>A whole number.</summary>
    /// <param name="unit">What is counted, for the message.</param>
    public SettingAttribute(string name, int least, int most, string unit = "")
        : this(name) => (Least, Most, Unit) = (least, most, unit);

    public string Name { get; } = name;

    public int Least { get; }

    public int Most { get; }

    public string Unit { get; } = "";

    /// <summary>For the table, in Markdown.</summary>
    public required string Meaning { get; init; }

    /// <summary>For the table, where the property's own value does not say it.</summary>
    public string? Default { get; init; }

    /// <summary>For the table: what applies in Development instead.</summary>
    public string? Development { get; init; }

    /// <summary>What to do when it is missing, which stops the start.</summary>
    public string? Missing { get; init; }

    /// <summary>Development does without it.</summary>
    public bool InProductionOnly { get; init; }

    /// <summary>Development does without it as long as this setting is missing as well.</summary>
    public string? With { get; init; }

    /// <summary>The values that are taken, separated by spaces.</summary>
    public string? OneOf { get; init; }

    /// <summary>It is a URL with one of these schemes, separated by spaces. Plain http is for Development only.</summary>
    public string? Schemes { get; init; }

    /// <summary>Of the URL there is only scheme, host and perhaps port, in lower case.</summary>
    public bool IsOrigin { get; init; }

    /// <summary>What a URL must be, in words.</summary>
    public string? MustBe { get; init; }

    /// <summary>A list that is set and empty is empty; otherwise empty means absent.</summary>
    public bool MayBeEmpty { get; init; }

    /// <summary>It belongs into a file that only this program may read, never into a manifest.</summary>
    public bool IsSecret { get; init; }

    /// <summary>Reads the setting. Empty means absent; a list is separated by spaces.</summary>
    /// <returns>The value, null when there is none; or a sentence that never repeats it.</returns>
    public (object? Value, string? Problem) Read(IConfiguration configuration, Type type, bool isProduction)
    {
        if (configuration[Name] is { Length: > 0 } text)
        {
            var (value, wrong) = Convert(text, type, isProduction);
            return (value, wrong is null ? null : $"{Name} must {wrong}.");
        }

        if (MayBeEmpty && configuration[Name] is not null)
        {
            return (Array.Empty<string>(), null);
        }

        var isNeeded = isProduction || (With is null ? !InProductionOnly : configuration[With] is { Length: > 0 });
        return (null, isNeeded && Missing is not null ? $"{Name} is missing: {Missing}." : null);
    }

    private (object? Value, string? Wrong) Convert(string text, Type type, bool isProduction)
    {
        if (type == typeof(int))
        {
            // A number that is too long to be read is out of range as well, so the range is said in any case.
            var isNumber = int.TryParse(text, CultureInfo.InvariantCulture, out var number);
            return isNumber && number >= Least && number <= Most
                ? (number, null)
                : (null, $"be {(isNumber ? "" : "a whole number ")}between {Least} and {Most} {Unit}".TrimEnd());
        }

        if (type == typeof(decimal))
        {
            return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= Least && number <= Most
                ? (number, null)
                : (null, $"be a number between {Least} and {Most} {Unit}".TrimEnd());
        }

        if (type == typeof(bool))
        {
            return bool.TryParse(text, out var flag) ? (flag, null) : (null, "be true or false");
        }

        if (type == typeof(string[]))
        {
            return (text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), null);
        }

        var wrong = OneOf?.Split(' ').Contains(text) == false ? "be " + OneOf.Replace(" ", " or ", StringComparison.Ordinal)
            : Schemes is null ? null
            : !Uri.TryCreate(text, UriKind.Absolute, out var url) || !Schemes.Split(' ').Contains(url.Scheme) ? "be " + MustBe
            : IsOrigin && url.GetLeftPart(UriPartial.Authority) != text ? "be " + MustBe
            : isProduction && url.Scheme == "http" ? "start with https:// in Production"
            : null;
        return (text, wrong);
    }
}
