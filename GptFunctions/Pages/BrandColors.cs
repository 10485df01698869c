using System.Globalization;
using System.Runtime.InteropServices;

namespace GptFunctions.Pages;

/// <summary>An sRGB colour.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Color(byte Red, byte Green, byte Blue)
{
    public static Color White { get; } = new(255, 255, 255);
    public static Color Black { get; } = new(0, 0, 0);

    /// <summary><c>#rrggbb</c> or <c>#rgb</c>; null for anything else.</summary>
    public static Color? Parse(string text)
    {
        var digits = text is ['#', var red, var green, var blue] ? new string([red, red, green, green, blue, blue]) : text.TrimStart('#');
        return text is ['#', ..] && digits.Length == 6 && int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? new Color((byte)(value >> 16), (byte)(value >> 8), (byte)value)
            : null;
    }

    /// <summary>WCAG 2.2, contrast ratio: 1 to 21.</summary>
    public double Contrast(Color other)
    {
        var (one, two) = (Luminance, other.Luminance);
        return (Math.Max(one, two) + 0.05) / (Math.Min(one, two) + 0.05);
    }

    /// <param name="share">Of the other one, 0 to 1.</param>
    public Color Mix(Color other, double share)
    {
        byte Channel(byte mine, byte theirs) => (byte)Math.Round(mine + ((theirs - mine) * share));
        return new(Channel(Red, other.Red), Channel(Green, other.Green), Channel(Blue, other.Blue));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"#{Red:x2}{Green:x2}{Blue:x2}");

    /// <summary>WCAG 2.2, relative luminance.</summary>
    private double Luminance
    {
        get
        {
            static double Linear(byte channel) => channel / 255.0 is var value && value <= 0.04045 ? value / 12.92 : Math.Pow((value + 0.055) / 1.055, 2.4);
            return (0.2126 * Linear(Red)) + (0.7152 * Linear(Green)) + (0.0722 * Linear(Blue));
        }
    }
}

/// <summary>What becomes of a company's colour: text and marks in it, text on it, and a tint behind it.</summary>
/// <param name="Card">What it stands on: the page's card in <see cref="PageStyle"/>.</param>
internal sealed record Tones(Color Accent, Color Card)
{
    /// <summary>WCAG 2.2 1.4.3, level AA: text of ordinary size.</summary>
    public const double Enough = 4.5;

    private static readonly Color NearlyBlack = new(0x10, 0x14, 0x1a);

    /// <summary>The text of a button in this colour.</summary>
    public Color OnAccent => Accent.Contrast(Color.White) >= Accent.Contrast(NearlyBlack) ? Color.White : NearlyBlack;

    public Color Tint => Card.Mix(Accent, 0.1);

    /// <summary>The least of the contrasts that there are with it.</summary>
    public double Contrast => Math.Min(Math.Min(Accent.Contrast(Card), Accent.Contrast(Tint)), Accent.Contrast(OnAccent));

    /// <summary>The nearest tone towards black or white that has enough.</summary>
    public Tones Readable(Color towards)
    {
        for (var share = 0.0; share < 1; share += 0.02)
        {
            if (this with { Accent = Accent.Mix(towards, share) } is { Contrast: >= Enough } tones)
            {
                return tones;
            }
        }

        return this with { Accent = towards };
    }
}

/// <summary>The colour of <c>BRAND_COLOR</c> in light and in dark.</summary>
internal sealed record BrandColors(Tones Light, Tones Dark)
{
    /// <summary>As in <see cref="PageStyle"/>.</summary>
    public static readonly Color LightCard = Color.White;
    public static readonly Color DarkCard = new(0x17, 0x1b, 0x21);

    /// <summary>Replaces the accent of the style sheet.</summary>
    public string Sheet => $"\n{Variables(Light)}\n@media (prefers-color-scheme:dark){{{Variables(Dark)}}}";

    /// <returns>Null colours when there is no setting; a sentence when it cannot be used.</returns>
    public static (BrandColors? Colors, string? Problem) Read(string? setting)
    {
        if (setting is null)
        {
            return (null, null);
        }

        Color?[] colors = [.. setting.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Color.Parse)];
        if (colors is not ([not null] or [not null, not null]))
        {
            return (null, "BRAND_COLOR must be a colour such as #1a56c4, or two separated by a space: for light and for dark mode.");
        }

        var light = new Tones(colors[0]!.Value, LightCard);
        if (light.Contrast < Tones.Enough)
        {
            return (null, Problem(light, "light", "darker", light.Readable(Color.Black)));
        }

        // No colour has enough with a light and a dark page alike.
        var dark = new Tones(colors[^1]!.Value, DarkCard);
        return colors.Length == 1 ? (new BrandColors(light, dark.Readable(Color.White)), null)
            : dark.Contrast < Tones.Enough ? (null, Problem(dark, "dark", "lighter", dark.Readable(Color.White)))
            : (new BrandColors(light, dark), null);
    }

    private static string Problem(Tones tones, string mode, string direction, Tones better) => string.Create(
        CultureInfo.InvariantCulture,
        $"BRAND_COLOR: {tones.Accent} has a contrast of {Math.Floor(tones.Contrast * 10) / 10:0.0}:1 on a page in {mode} mode, where text is written in it "
        + $"and on it; people need {Tones.Enough:0.0}:1 (WCAG AA): take a {direction} tone, such as {better.Accent} ({better.Contrast:0.0}:1).");

    private static string Variables(Tones tones) => $":root{{--accent:{tones.Accent};--on-accent:{tones.OnAccent};--tint:{tones.Tint}}}";
}
