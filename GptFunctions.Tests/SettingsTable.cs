using System.Globalization;
using System.Reflection;
using System.Text;
using GptFunctions.Hosting;

namespace GptFunctions.Tests;

/// <summary>The tables of <c>docs/settings.md</c>, one for each room, from the attributes of the settings.</summary>
internal static class SettingsTable
{
    /// <summary>Every setting with the class that reads it; the property is null where the class does so by itself.</summary>
    public static IReadOnlyList<(SettingAttribute Setting, Type Class, PropertyInfo? Property)> All { get; } =
    [
        .. typeof(SettingAttribute).Assembly.GetTypes().OrderBy(type => type.FullName, StringComparer.Ordinal).SelectMany(type =>
            type.GetCustomAttributes<SettingAttribute>().Select(setting => (setting, type, (PropertyInfo?)null))
                .Concat(
                    type.GetProperties().SelectMany(
                        property => property.GetCustomAttributes<SettingAttribute>().Select(setting => (setting, type, (PropertyInfo?)property))))),
    ];

    public static IReadOnlyList<string> Names { get; } = [.. All.Select(row => row.Setting.Name)];

    public static string Write()
    {
        var text = new StringBuilder();
        foreach (var room in All.GroupBy(row => row.Class.Namespace!.Split('.')[1]))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"## {room.Key}\n\n| name | meaning | values | default | Development default |\n| --- | --- | --- | --- | --- |\n");
            foreach (var (setting, type, property) in room)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| `{setting.Name}` | {setting.Meaning} | {Values(setting, type)} | {Default(setting, type, property)} | {setting.Development} |\n");
            }

            text.Append('\n');
        }

        return text.ToString().TrimEnd('\n') + "\n";
    }

    private static string Values(SettingAttribute setting, Type type) =>
        setting.Most > 0 ? string.Create(CultureInfo.InvariantCulture, $"{setting.Least} to {setting.Most}")
        : setting.IsSecret ? "secret" + (type.IsAssignableTo(typeof(IKeys)) ? ", read again" : "")
        : setting.OneOf?.Replace(" ", ", ", StringComparison.Ordinal) ?? "";

    private static string Default(SettingAttribute setting, Type type, PropertyInfo? property) =>
        setting.Default ?? (setting.Missing is not null ? "required" : property?.GetValue(Activator.CreateInstance(type)) switch
        {
            bool flag => flag ? "true" : "false",
            int number => number.ToString(CultureInfo.InvariantCulture),
            string text => $"`{text}`",
            string[] { Length: > 0 } list => $"`{string.Join(' ', list)}`",
            _ => "none",
        });
}
