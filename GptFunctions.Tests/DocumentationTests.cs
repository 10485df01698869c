using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>architecture.md 8: every setting stands in docs/settings.md and in local.settings.sample.json, and none that does not exist.</summary>
public sealed partial class DocumentationTests
{
    /// <summary>What the Functions host itself wants to know.</summary>
    private static readonly string[] ReadElsewhere = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "AzureWebJobsDisableHomepage"];

    [Fact]
    public void Settings_are_each_read_by_one_class()
    {
        Assert.True(SettingsTable.Names.Count > 20);
        Assert.Equal(SettingsTable.Names.Distinct(StringComparer.Ordinal), SettingsTable.Names);
    }

    /// <summary>The prose above the first heading is written by hand, the tables by the attributes: <c>make docs</c>.</summary>
    [Fact]
    public async Task Table_of_the_settings_is_what_their_attributes_say()
    {
        var path = Path.Combine(TestServices.RepositoryRoot, "docs", "settings.md");
        var document = await File.ReadAllTextAsync(path);
        var generated = document[..(document.IndexOf("\n## ", StringComparison.Ordinal) + 1)] + SettingsTable.Write();
        if (Environment.GetEnvironmentVariable("WRITE_DOCS") == "true")
        {
            await File.WriteAllTextAsync(path, generated);
        }

        Assert.Equal(generated, await File.ReadAllTextAsync(path));
        AssertComplete([.. SettingRow().Matches(generated).Select(match => match.Groups["name"].Value)]);
    }

    [Fact]
    public async Task Readme_lists_what_one_must_set_and_no_other()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "README.md"));
        var listed = SettingRow().Matches(readme).Select(match => match.Groups["name"].Value);
        var required = SettingsTable.All.Where(row => row.Setting.Missing is not null).Select(row => row.Setting.Name);
        Assert.Equal(required.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Sample_settings_list_every_setting_once_and_no_other()
    {
        var path = Path.Combine(TestServices.RepositoryRoot, "local.settings.sample.json");
        using var sample = JsonDocument.Parse(await File.ReadAllTextAsync(path));
        AssertComplete([.. sample.RootElement.GetProperty("Values").EnumerateObject().Select(value => value.Name)]);
        // Core Tools refuses others.
        Assert.All(sample.RootElement.GetProperty("Values").EnumerateObject(), value => Assert.Equal(JsonValueKind.String, value.Value.ValueKind));
        Assert.All(SettingsTable.All.Where(row => row.Setting.Most > 0), row => Assert.Equal(
            Convert.ToString(row.Property!.GetValue(Activator.CreateInstance(row.Class)), CultureInfo.InvariantCulture),
            sample.RootElement.GetProperty("Values").GetProperty(row.Setting.Name).GetString()));
    }

    /// <summary>A setting that is read must be named by an attribute, where the tests above see it.</summary>
    [Fact]
    public async Task Program_reads_no_setting_in_passing()
    {
        var names = new List<string>();
        foreach (var file in Directory.EnumerateFiles(
            Path.Combine(TestServices.RepositoryRoot, "GptFunctions"), "*.cs",
            SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal)))
        {
            names.AddRange(SettingRead().Matches(await File.ReadAllTextAsync(file)).Select(match => match.Groups["name"].Value));
        }

        Assert.Contains("SECRETS_PATH", names);
        Assert.Empty(names.Except([.. SettingsTable.Names, .. ReadElsewhere, "Functions:Worker:HostEndpoint"], StringComparer.Ordinal));
    }

    private static void AssertComplete(List<string> names)
    {
        Assert.Empty(SettingsTable.Names.Except(names, StringComparer.Ordinal));
        Assert.Empty(names.Except([.. SettingsTable.Names, .. ReadElsewhere], StringComparer.Ordinal));
        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
    }

    [GeneratedRegex(@"^\| `(?<name>[A-Za-z_]+)` \|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingRow();

    [GeneratedRegex("""(?:[cC]onfiguration\[|GetEnvironmentVariable\()"(?<name>[^"]+)""", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingRead();
}
