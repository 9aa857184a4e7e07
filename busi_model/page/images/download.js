// Enters: props.value = {file, count}, a file that was just made for the user. Leaves: the browser saves it.
watch("value", () => {
  if (!props.value?.file) return;
  const link = document.createElement("a");
  [link.href, link.download] = [props.value.file.url, props.value.file.orig_name];
  link.click();
});
