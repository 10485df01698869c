using System.Text.Json;
using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>infra/container/Dockerfile, read line by line: no engine is needed to see that it says what it must.</summary>
public sealed partial class DockerfileTests
{
    private static readonly string Root = TestServices.RepositoryRoot;
    private static readonly IReadOnlyList<(string Word, string Arguments)> Lines = Read("Dockerfile");

    /// <summary>The variables of the image.</summary>
    public static IReadOnlyDictionary<string, string> Environment { get; } =
        Variable().Matches(Assert.Single(All("ENV"))).ToDictionary(
            match => match.Groups["name"].Value, match => match.Groups["value"].Value, StringComparer.Ordinal);

    [Fact]
    public void Base_images_have_a_tag_and_one_argument_each()
    {
        var named = All("ARG").Select(argument => argument.Split('=', 2)).Where(parts => parts.Length == 2)
            .ToDictionary(parts => "${" + parts[0] + "}", parts => parts[1], StringComparer.Ordinal);
        var arguments = All("FROM").Select(rest => rest.Split(' ')[0]).ToList();
        Assert.Equal(["${SDK_IMAGE}", "${HOST_IMAGE}"], arguments); // by these names base-images.sh finds them
        var images = arguments.Select(argument => named[argument]).ToList();
        Assert.All(images, image => Assert.Matches(Tagged(), image));
        Assert.Contains(
            images, image => image.StartsWith("mcr.microsoft.com/azure-functions/dotnet-isolated:4-dotnet-isolated10.0", StringComparison.Ordinal));
    }

    [Fact]
    public void Image_runs_the_host_as_nobody_and_gets_its_signals()
    {
        Assert.Equal("10001:10001", Assert.Single(All("USER")));
        // Exec form: no shell in between.
        Assert.Equal(
            ["/azure-functions-host/Microsoft.Azure.WebJobs.Script.WebHost"],
            JsonSerializer.Deserialize<string[]>(Assert.Single(All("ENTRYPOINT")))!);
        Assert.Equal(["ENTRYPOINT", "USER"], Lines.Select(line => line.Word).TakeLast(2).Order(StringComparer.Ordinal));
        Assert.Empty(All("CMD"));
    }

    [Fact]
    public void Environment_is_what_the_manifests_expect()
    {
        var variables = Environment;
        Assert.Equal("http://+:8080", variables["ASPNETCORE_URLS"]);
        Assert.Equal("/home/site/wwwroot", variables["AzureWebJobsScriptRoot"]);
        Assert.Equal(
            ("files", "true", "dotnet-isolated", "/tmp"),
            (
                variables["AzureWebJobsSecretStorageType"], variables["AzureFunctionsJobHost__Logging__Console__IsEnabled"],
                variables["FUNCTIONS_WORKER_RUNTIME"], variables["HOME"]));
        Assert.Equal("true", variables["AzureWebJobsDisableHomepage"]);
    }

    /// <summary>Hosts before 4.1044 let a caller's x-ms-invocation-id stand: such a call waits 15 s for an invocation that never comes.</summary>
    [Theory]
    [InlineData("4.1044.100", "", true)]
    [InlineData("4.1048.200", "", true)]
    [InlineData("4.2001.1", "", true)]
    [InlineData("", """ "Microsoft.Azure.WebJobs.Script.WebHost/4.1048.200": { """, true)]
    [InlineData("4.1043.200", "", false)]
    [InlineData("4.1037.2", "", false)]
    [InlineData("4.48.100", "", false)]
    [InlineData("", """ "Microsoft.Azure.WebJobs.Script.WebHost/4.1037.2": { """, false)]
    [InlineData("", "", false)]
    public async Task Host_that_waits_for_a_callers_invocation_id_ends_the_build(string variable, string manifest, bool isTaken)
    {
        var check = Assert.Single(All("RUN"), rest => rest.Contains("HOST_VERSION", StringComparison.Ordinal));
        var directory = Directory.CreateTempSubdirectory("gpt-host-").FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "Microsoft.Azure.WebJobs.Script.WebHost.deps.json"), manifest);
        using var shell = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo("sh", ["-c", check.Replace("/azure-functions-host/", directory + "/", StringComparison.Ordinal)])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
                Environment = { ["HOST_VERSION"] = variable },
            })!;
        var said = await shell.StandardError.ReadToEndAsync();
        await shell.WaitForExitAsync();
        Directory.Delete(directory, recursive: true);

        Assert.True(isTaken == (shell.ExitCode == 0), said);
        Assert.Equal(isTaken, said.Length == 0);
    }

    [Fact]
    public void Restore_and_publish_build_for_the_functions_host_ahead_of_time()
    {
        var restore = Assert.Single(All("RUN"), rest => rest.StartsWith("dotnet restore ", StringComparison.Ordinal));
        var publish = Assert.Single(All("RUN"), rest => rest.StartsWith("dotnet publish ", StringComparison.Ordinal));
        Assert.All([restore, publish], command => Assert.Contains(" -r linux-x64 ", command, StringComparison.Ordinal));
        Assert.All([restore, publish], command => Assert.Contains(" -p:FunctionsWorker=package", command, StringComparison.Ordinal));
        Assert.All([restore, publish], command => Assert.Contains(" -p:PublishReadyToRun=true", command, StringComparison.Ordinal));
        Assert.All([" -c Release ", " --no-self-contained ", " --no-restore "], option => Assert.Contains(option, publish, StringComparison.Ordinal));
    }

    /// <summary>Packages are restored before code is copied, so that a change of code does not restore again.</summary>
    [Fact]
    public void Copied_files_exist_are_in_the_build_context_and_come_in_layers()
    {
        var ignored = File.ReadAllLines(Path.Combine(Root, "infra", "container", "Dockerfile.dockerignore")).Where(line => line.StartsWith('!'))
            .Select(line => line[1..]).ToList();
        var sources = All("COPY").Where(rest => !rest.StartsWith("--from=", StringComparison.Ordinal)).SelectMany(rest => rest.Split(' ')[..^1]).ToList();
        Assert.NotEmpty(sources);
        Assert.All(sources, source => Assert.True(Path.Exists(Path.Combine(Root, source)), source));
        Assert.All(sources, source => Assert.True(ignored.Contains(source) || ignored.Contains(source.Split('/')[0]), source));
        var steps = Lines.Select(line => line.Word + " " + line.Arguments).ToList();
        Assert.InRange(
            steps.FindIndex(step => step.StartsWith("RUN dotnet restore", StringComparison.Ordinal)), 1,
            steps.FindIndex(step => step == "COPY GptFunctions/ GptFunctions/") - 1);
    }

    /// <summary>What the program's build reads and the image's build would not have.</summary>
    [Fact]
    public void Everything_that_decides_the_build_is_copied()
    {
        var copied = All("COPY").SelectMany(rest => rest.Split(' ')[..^1]).ToList();
        var decides = Directory.EnumerateFiles(Root).Select(Path.GetFileName)
            .Where(
                name => name!.StartsWith("Directory.", StringComparison.Ordinal)
                    || name is ".editorconfig" or "BannedSymbols.txt" or "host.json" or "global.json" or "nuget.config");
        Assert.Empty(decides.Except(copied, StringComparer.Ordinal));
    }

    private static List<string> All(string word) => [.. Lines.Where(line => line.Word == word).Select(line => line.Arguments)];

    private static List<(string Word, string Arguments)> Read(string name)
    {
        var text = File.ReadAllText(Path.Combine(TestServices.RepositoryRoot, "infra", "container", name)).Replace("\\\n", " ", StringComparison.Ordinal);
        var lines = text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith('#'));
        return [.. lines.Select(line => (line.Split(' ')[0], Spaces().Replace(line[line.IndexOf(' ', StringComparison.Ordinal)..], " ").Trim()))];
    }

    [GeneratedRegex(
        @"^[a-z.]+/[a-z/-]+:(?!latest)[a-z0-9.-]*\d+\.\d+[a-z0-9.-]*(?:@sha256:[0-9a-f]{64})?$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Tagged();

    [GeneratedRegex(@"(?<name>\w+)=(?<value>\S+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variable();

    [GeneratedRegex(" +", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();
}
