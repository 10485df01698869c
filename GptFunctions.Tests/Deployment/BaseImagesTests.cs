using System.Diagnostics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Deployment;

/// <summary>
/// infra/container/base-images.sh, with docker and gh that answer from files: which base image is not the newest, and the one issue about it.
/// </summary>
public sealed class BaseImagesTests : IDisposable
{
    private const string Sdk = "registry.example/sdk:10.0";
    private const string Host = "registry.example/host:4";
    private const string Title = "A base image is not the newest of its tag";
    private static readonly string Old = "sha256:" + new string('1', 64);
    private static readonly string New = "sha256:" + new string('2', 64);
    private readonly string directory = Directory.CreateTempSubdirectory("base-images-").FullName;

    public BaseImagesTests()
    {
        foreach (var file in (string[])["infra/container/base-images.sh", "infra/dev/lib.sh"])
        {
            Directory.CreateDirectory(Path.Combine(directory, Path.GetDirectoryName(file)!));
            File.Copy(Path.Combine(TestServices.RepositoryRoot, file), Path.Combine(directory, file));
        }

        Directory.CreateDirectory(Path.Combine(directory, "bin"));
        // As the command prints it: the list's own digest first, then those of each platform.
        Write("bin/docker", $"""
            #!/bin/bash
            [ "$1 $2 $3" = 'buildx imagetools inspect' ] || exit 9
            [ ! -e "$HERE/down" ] || exit 1
            printf 'Name:      %s\nMediaType: application/vnd.oci.image.index.v1+json\nDigest:    {New}\n\nManifests:\n  Name: %s\n  Digest: {Old}\n' "$4" "$4"
            """);
        Write("bin/gh", """
            #!/bin/bash
            printf '%s\n' "$*" >>"$HERE/calls"
            case $* in *'--body-file -'*) cat >"$HERE/body" ;; 'issue list '*) cat "$HERE/open" ;; esac
            """);
        Write("open", "");
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Newest_images_are_said_to_be()
    {
        WriteDockerfile($"{Sdk}@{New}", $"{Host}@{New}");
        Assert.Equal((0, $"SDK_IMAGE: {Sdk} is the newest.\nHOST_IMAGE: {Host} is the newest.\n"), await RunAsync());
    }

    [Fact]
    public async Task Older_digest_and_a_missing_one_are_told_apart_with_the_newest()
    {
        WriteDockerfile($"{Sdk}@{Old}", Host);
        Assert.Equal(
            (3,
                $"- `SDK_IMAGE`: `{Sdk}` is `{New}` now, and the Dockerfile names `{Old}`.\n"
                + $"- `HOST_IMAGE`: `{Host}` is `{New}` now, and the Dockerfile names no digest, so each build takes what the tag is at the time.\n"),
            await RunAsync());
    }

    [Fact]
    public async Task Pin_writes_the_newest_and_then_there_is_nothing_to_say()
    {
        WriteDockerfile($"{Sdk}@{Old}", Host);
        Assert.Equal(0, (await RunAsync("--pin")).ExitCode);
        Assert.Equal(
            $"# comment\nARG SDK_IMAGE={Sdk}@{New}\nARG HOST_IMAGE={Host}@{New}\nARG VERSION=1\n", await File.ReadAllTextAsync(DockerfilePath));
        Assert.Equal(0, (await RunAsync()).ExitCode);
    }

    [Fact]
    public async Task Issue_is_opened_once_brought_up_to_date_and_closed()
    {
        WriteDockerfile($"{Sdk}@{Old}", $"{Host}@{New}");
        Assert.Equal(0, (await RunAsync("--issue")).ExitCode);
        Assert.Equal($"issue create --title {Title} --body-file -", Calls[^1]);
        Assert.Contains($"`{Sdk}` is `{New}` now", await File.ReadAllTextAsync(Path.Combine(directory, "body")), StringComparison.Ordinal);

        Write("open", "17\n");
        Assert.Equal(0, (await RunAsync("--issue")).ExitCode);
        Assert.Equal("issue edit 17 --body-file -", Calls[^1]);

        WriteDockerfile($"{Sdk}@{New}", $"{Host}@{New}");
        Assert.Equal(0, (await RunAsync("--issue")).ExitCode);
        Assert.StartsWith("issue close 17 --comment ", Calls[^1], StringComparison.Ordinal);

        Write("open", "");
        Assert.Equal(0, (await RunAsync("--issue")).ExitCode);
        Assert.StartsWith("issue list ", Calls[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Registry_that_does_not_answer_is_an_error_and_no_news()
    {
        WriteDockerfile($"{Sdk}@{Old}", Host);
        Write("down", "");
        Assert.Equal((1, $"error: The registry does not say the digest of {Sdk}.\n"), await RunAsync("--issue"));
        Assert.Empty(Calls);
    }

    private string DockerfilePath => Path.Combine(directory, "infra", "container", "Dockerfile");

    private string[] Calls => File.Exists(Path.Combine(directory, "calls")) ? File.ReadAllLines(Path.Combine(directory, "calls")) : [];

    private void WriteDockerfile(string sdk, string host) =>
        File.WriteAllText(DockerfilePath, $"# comment\nARG SDK_IMAGE={sdk}\nARG HOST_IMAGE={host}\nARG VERSION=1\n");

    private void Write(string name, string text)
    {
        File.WriteAllText(Path.Combine(directory, name), text);
        if (!OperatingSystem.IsWindows()) // as the compiler wants to hear; the script needs bash anyway
        {
            File.SetUnixFileMode(Path.Combine(directory, name), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private async Task<(int ExitCode, string Said)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo("bash", [Path.Combine(directory, "infra/container/base-images.sh"), .. arguments])
            {
                RedirectStandardError = true,
                UseShellExecute = false,
                Environment = { ["HERE"] = directory, ["PATH"] = $"{directory}/bin:{Environment.GetEnvironmentVariable("PATH")}" },
            })!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, said);
    }
}
