using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>architecture.md rule 8: every setting stands in the README's table and in local.settings.sample.json, and none that does not exist.</summary>
public sealed partial class DocumentationTests
{
    /// <summary>Read outside of settings classes: where settings come from, and what the Functions host itself wants to know.</summary>
    private static readonly string[] ReadElsewhere = ["AZURE_FUNCTIONS_ENVIRONMENT", "SECRETS_PATH", "FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];

    private static readonly string[] InClasses =
        [.. typeof(SettingAttribute).Assembly.GetTypes().SelectMany(type => type.GetProperties()).Select(property => property.GetCustomAttribute<SettingAttribute>()?.Name).OfType<string>()];

    [Fact]
    public void Settings_are_each_read_by_one_class()
    {
        Assert.True(InClasses.Length > 20);
        Assert.Equal(InClasses.Distinct(StringComparer.Ordinal), InClasses);
    }

    [Fact]
    public async Task Readme_lists_every_setting_once_and_no_other()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "README.md"));
        var rows = SettingRow().Matches(readme).Select(match => match.Groups["name"].Value).ToList();
        AssertComplete(rows);
    }

    [Fact]
    public async Task Sample_settings_list_every_setting_once_and_no_other()
    {
        var path = Path.Combine(TestServices.RepositoryRoot, "local.settings.sample.json");
        using var sample = JsonDocument.Parse(await File.ReadAllTextAsync(path));
        AssertComplete([.. sample.RootElement.GetProperty("Values").EnumerateObject().Select(value => value.Name)]);
        Assert.All(sample.RootElement.GetProperty("Values").EnumerateObject(), value => Assert.Equal(JsonValueKind.String, value.Value.ValueKind)); // Core Tools refuses others
    }

    /// <summary>A setting that is read must be named by an attribute, where the tests above see it.</summary>
    [Fact]
    public async Task Program_reads_no_setting_in_passing()
    {
        var names = new List<string>();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TestServices.RepositoryRoot, "GptFunctions"), "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal)))
        {
            names.AddRange(SettingRead().Matches(await File.ReadAllTextAsync(file)).Select(match => match.Groups["name"].Value));
        }

        Assert.Contains("SECRETS_PATH", names);
        Assert.Empty(names.Except([.. InClasses, .. ReadElsewhere, "Functions:Worker:HostEndpoint"], StringComparer.Ordinal));
    }

    private static void AssertComplete(List<string> names)
    {
        Assert.Empty(InClasses.Except(names, StringComparer.Ordinal));
        Assert.Empty(names.Except([.. InClasses, .. ReadElsewhere], StringComparer.Ordinal));
        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
    }

    [GeneratedRegex(@"^\| `(?<name>[A-Za-z_]+)` \|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingRow();

    [GeneratedRegex("""(?:[cC]onfiguration\[|GetEnvironmentVariable\()"(?<name>[^"]+)""", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingRead();
}
